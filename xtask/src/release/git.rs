//! What git knows of the source tree, and the one thing that it is told.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// Fails where the tree is not what the commit has.
pub(crate) fn is_clean(root: &Path) -> anyhow::Result<()> {
    let changes = git(root, &["status", "--porcelain"])?;
    ensure!(changes.is_empty(), "commit or put away:\n{changes}");
    Ok(())
}

/// Fails where there is such a tag.
pub(crate) fn has_no_tag(root: &Path, tag: &str) -> anyhow::Result<()> {
    ensure!(git(root, &["tag", "--list", tag])?.is_empty(), "{tag} is there already");
    Ok(())
}

/// The commit.
pub(crate) fn head(root: &Path) -> anyhow::Result<String> {
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

/// Tags the commit, on this machine alone.
pub(crate) fn tag(root: &Path, tag: &str, message: &str) -> anyhow::Result<()> {
    // A line that begins with # is a heading, not a comment.
    git(root, &["tag", "--annotate", "--cleanup=whitespace", "--message", message, tag]).map(drop)
}

fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let said = Command::new("git").args(arguments).current_dir(root).output().context("git")?;
    if !said.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&said.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A repository with one commit.
    fn repository() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        git(root, &["init", "--quiet"]).unwrap();
        git(root, &["config", "user.name", "Somebody"]).unwrap();
        git(root, &["config", "user.email", "somebody@example.org"]).unwrap();
        fs::write(root.join("file"), "text").unwrap();
        git(root, &["add", "file"]).unwrap();
        git(root, &["commit", "--quiet", "--no-verify", "--message", "One"]).unwrap();
        folder
    }

    #[test]
    fn a_change_that_is_not_committed_is_named() {
        let folder = repository();
        is_clean(folder.path()).unwrap();
        fs::write(folder.path().join("stray"), "text").unwrap();
        let error = is_clean(folder.path()).unwrap_err().to_string();
        assert!(error.contains("stray"), "{error}");
    }

    #[test]
    fn a_tag_is_made_once_with_its_whole_message() {
        let folder = repository();
        let root = folder.path();
        has_no_tag(root, "v1.2.3").unwrap();
        tag(root, "v1.2.3", "keypooler v1.2.3\n\n### Added\n\n- This.\n").unwrap();
        assert!(has_no_tag(root, "v1.2.3").is_err());
        let message = git(root, &["tag", "--list", "--format=%(contents)", "v1.2.3"]).unwrap();
        assert!(message.contains("### Added\n\n- This."), "{message}");
        assert!(tag(root, "v1.2.3", "again").is_err());
        assert_eq!(head(root).unwrap().len(), 12);
    }
}
