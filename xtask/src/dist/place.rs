//! Where a release is built: the source tree, cargo's folders, and the moment that its files bear.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::run::{Cargo, root};

/// A source tree with all that a build of it depends on.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target_folder: PathBuf,
    /// Where cargo keeps the sources of what is depended on.
    pub(crate) cargo_home: PathBuf,
    /// The version of the workspace.
    pub(crate) version: String,
    /// Seconds since 1970: the date of all files. That of the last commit, or `SOURCE_DATE_EPOCH`
    /// (<https://reproducible-builds.org/specs/source-date-epoch/>).
    pub(crate) epoch: u64,
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

impl Place {
    /// The workspace that this xtask was built from.
    ///
    /// # Errors
    /// If cargo or git can't tell.
    #[expect(clippy::disallowed_methods, reason = "a convention of build tools, and cargo's own")]
    pub(crate) fn here() -> anyhow::Result<Self> {
        let root = root();
        let (target_folder, version) = ask_cargo(&root)?;
        let cargo_home = match (std::env::var_os("CARGO_HOME"), std::env::home_dir()) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => home.join(".cargo"),
            (None, None) => bail!("there is neither a CARGO_HOME nor a home directory"),
        };
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(given) => parse_epoch(&given).context("SOURCE_DATE_EPOCH")?,
            Err(_) => last_commit(&root)?,
        };
        Ok(Self { root, target_folder, cargo_home, version, epoch })
    }

    /// A text of the source tree.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> anyhow::Result<String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))
    }
}

fn ask_cargo(root: &Path) -> anyhow::Result<(PathBuf, String)> {
    let metadata = Cargo::new(&["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let metadata: Metadata = serde_json::from_slice(&metadata.folder(root).output()?)
        .context("the metadata of cargo can't be read")?;
    let keypooler = metadata.packages.into_iter().find(|package| package.name == "keypooler");
    let keypooler = keypooler.context("there is no package keypooler")?;
    Ok((metadata.target_directory, keypooler.version))
}

fn last_commit(root: &Path) -> anyhow::Result<u64> {
    let ask = ["log", "-1", "--format=%ct"];
    let told = Command::new("git").args(ask).current_dir(root).output().context("git")?;
    if !told.status.success() {
        bail!("git does not know when the last commit was: set SOURCE_DATE_EPOCH");
    }
    parse_epoch(&String::from_utf8_lossy(&told.stdout)).context("git log")
}

fn parse_epoch(text: &str) -> anyhow::Result<u64> {
    text.trim().parse().context("seconds since 1970 were expected")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A source tree in a folder, as nobody has built in it.
    pub(crate) fn place(folder: &Path) -> Place {
        Place {
            root: folder.to_owned(),
            target_folder: folder.join("target"),
            cargo_home: folder.join("cargo"),
            version: "1.2.3".to_owned(),
            epoch: 1_700_000_000,
        }
    }

    #[test]
    fn a_date_is_whole_seconds() {
        assert_eq!(parse_epoch("1700000000\n").unwrap(), 1_700_000_000);
        for text in ["", "yesterday", "-1", "1.5"] {
            assert!(parse_epoch(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_workspace_knows_its_version_and_where_cargo_builds() {
        let (target_folder, version) = ask_cargo(&root()).unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        assert!(target_folder.is_absolute(), "{}", target_folder.display());
    }
}
