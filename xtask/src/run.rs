//! Runs cargo on the workspace, and says what it runs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, bail};

/// A cargo call that is about to be made.
#[derive(Debug)]
pub(crate) struct Cargo {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    /// Where it runs; where xtask was called, if it is none.
    folder: Option<PathBuf>,
}

impl Cargo {
    /// In the workspace's root.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(OsString::from).collect();
        Self { arguments, environment: Vec::new(), folder: Some(root()) }
    }

    /// Runs a package's binary in the folder in which xtask was called, whose files it may read.
    pub(crate) fn binary(package: &str) -> Self {
        let run = Self::new(&["run", "--quiet", "--package", package, "--manifest-path"]);
        Self { folder: None, ..run.arg(root().join("Cargo.toml")).arg("--") }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// In another folder, such as a copy of the workspace.
    pub(crate) fn folder(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// Runs it with this process's output.
    ///
    /// # Errors
    /// If cargo can't be started or fails.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown = self.shown();
        let status = self.status()?;
        if !status.success() {
            bail!("{shown}: {status}");
        }
        Ok(())
    }

    /// Runs it with this process's output and tells how it ended.
    ///
    /// # Errors
    /// If cargo can't be started.
    pub(crate) fn status(self) -> anyhow::Result<ExitStatus> {
        let shown = self.shown();
        say(&format!("$ {shown}"));
        self.command().status().with_context(|| format!("could not start {shown}"))
    }

    /// Runs it and takes its output.
    ///
    /// # Errors
    /// If cargo can't be started or fails.
    pub(crate) fn output(self) -> anyhow::Result<Vec<u8>> {
        let output = self.command().output().context("could not start cargo")?;
        if !output.status.success() {
            bail!("cargo: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    }

    /// Whether it ends well; its output is dropped.
    pub(crate) fn succeeds(self) -> bool {
        self.command().output().is_ok_and(|output| output.status.success())
    }

    fn shown(&self) -> String {
        let shown: Vec<_> =
            self.arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        format!("cargo {}", shown.join(" "))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in the workspace").to_owned()
}

/// A line for whoever watches.
#[expect(clippy::print_stderr, reason = "xtask talks to people")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// What was asked for, on standard output.
#[expect(clippy::print_stdout, reason = "xtask talks to people")]
pub(crate) fn show(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_runs_where_it_was_called_and_the_rest_in_the_root() {
        let command = Cargo::binary("keypooler").arg("migrate").command();
        assert_eq!(command.get_current_dir(), None);
        let manifest = root().join("Cargo.toml");
        let arguments: Vec<_> = command.get_args().collect();
        assert!(arguments.contains(&manifest.as_os_str()), "{arguments:?}");
        assert!(arguments.ends_with(&["--".as_ref(), "migrate".as_ref()]), "{arguments:?}");

        let command = Cargo::new(&["fmt"]).command();
        assert_eq!(command.get_current_dir(), Some(root().as_path()));
    }
}
