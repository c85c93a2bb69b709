//! The second build, which has to give the same bytes: from a copy of the source, with cargo's folders elsewhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::binary::Target;
use super::place::Place;
use super::{Files, files};
use crate::run::say;

/// Builds once more and compares.
///
/// # Errors
/// If it can't be built, or is not the same.
pub(crate) fn compare(place: &Place, target: Target, first: &Files) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("keypooler-second-").tempdir()?;
    say(&format!("building a second time, in {}", folder.path().display()));
    let second = files(&elsewhere(place, folder.path())?, target)?;
    let different = different(first, &second);
    ensure!(different.is_empty(), "a second build gave other bytes: {}", different.join(", "));
    Ok(())
}

/// A copy of the source, and other names for all folders that a build knows.
fn elsewhere(place: &Place, folder: &Path) -> anyhow::Result<Place> {
    let root = folder.join("in/another/place");
    for path in known_files(&place.root)? {
        let (from, to) = (place.root.join(&path), root.join(&path));
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::copy(&from, &to).with_context(|| from.display().to_string())?;
    }
    // The same downloads under another name.
    let cargo_home = folder.join("cargo");
    symlink(&place.cargo_home, &cargo_home)?;
    Ok(Place { root, target_folder: folder.join("built"), cargo_home, ..place.clone() })
}

/// What git knows, and what it would be told of: not what is ignored.
fn known_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let told = Command::new("git").args(list).current_dir(root).output().context("git")?;
    if !told.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&told.stderr));
    }
    let told = String::from_utf8(told.stdout).context("a file's name is UTF-8")?;
    let paths = told.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    // A file that was removed, and not yet from the index, is not there to be copied.
    Ok(paths.filter(|path| root.join(path).is_file()).collect())
}

/// The names of files that are not in both, or not the same.
fn different(first: &Files, second: &Files) -> Vec<String> {
    let all = first.iter().chain(second);
    let mut names: Vec<_> = all
        .filter(|file| !(first.contains(file) && second.contains(file)))
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::place::tests::place;
    use crate::run::root;

    #[test]
    fn files_that_differ_are_named() {
        let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        let first = vec![file("a", "1"), file("b", "2"), file("c", "3")];
        let second = vec![file("a", "1"), file("b", "9"), file("d", "4")];
        assert_eq!(different(&first, &second), ["b", "c", "d"]);
        assert!(different(&first, &first).is_empty());
    }

    #[test]
    fn the_second_place_has_the_source_and_shares_no_folder_s_name() {
        let folder = tempfile::tempdir().unwrap();
        let first = Place { root: root(), ..place(&folder.path().join("first")) };
        let second = elsewhere(&first, folder.path()).unwrap();
        let same = |name: &str| first.read(name).unwrap() == second.read(name).unwrap();
        assert!(same("Cargo.lock") && same("xtask/src/dist/second.rs"));
        assert!(!second.root.join("target").exists());
        assert_ne!(first.target_folder, second.target_folder);
        assert_ne!(first.cargo_home, second.cargo_home);
    }
}
