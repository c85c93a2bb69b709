//! The database file as the file system has it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::sqlite::lock::beside;

/// What is not as it should be.
pub(super) fn findings(path: &Path) -> Vec<String> {
    let files = [path.to_owned(), beside(path, "-wal")];
    let mut found: Vec<String> = files.iter().filter_map(|file| readable_by_others(file)).collect();
    let links = fs::metadata(path).map_or(1, |it| it.nlink());
    if links > 1 {
        found.push(format!(
            "{} has {links} names (hard links): a lock beside one of them does not keep others off",
            path.display()
        ));
    }
    found
}

fn readable_by_others(file: &Path) -> Option<String> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "{} has mode {mode:o}: others than its owner may use it; set it to 600",
            file.display()
        )
    })
}
