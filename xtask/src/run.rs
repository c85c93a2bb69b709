//! Runs cargo in the workspace's root, and says what it runs.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

/// A cargo call that is about to be made.
#[derive(Debug)]
pub(crate) struct Cargo {
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, &'static str)>,
}

impl Cargo {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(OsString::from).collect(), environment: Vec::new() }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Runs it with this process's output.
    ///
    /// # Errors
    /// If cargo can't be started or fails.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown: Vec<_> =
            self.arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let shown = format!("cargo {}", shown.join(" "));
        say(&format!("$ {shown}"));
        let status = self.command().status().with_context(|| format!("could not start {shown}"))?;
        if !status.success() {
            bail!("{shown}: {status}");
        }
        Ok(())
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

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args(&self.arguments).envs(self.environment.iter().copied());
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
