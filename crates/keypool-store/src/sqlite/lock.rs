//! The lock that keeps a second server off a database file. Owns the lock file; knows nothing of SQLite.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Holds `<database>.lock` locked for as long as it lives.
///
/// The file itself stays: removing it would let two servers lock two files of one name.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockRefused {
    /// Another process holds it.
    Held,
    /// The lock file cannot be made or locked.
    Io(io::Error),
}

impl FileLock {
    /// Takes the lock of the database at this canonical path, or says at once who has it.
    pub(crate) fn take(database: &Path) -> Result<FileLock, LockRefused> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(database, ".lock"))
            .map_err(LockRefused::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(FileLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockRefused::Held),
            Err(TryLockError::Error(error)) => Err(LockRefused::Io(error)),
        }
    }
}

/// The file beside the database whose name goes on with `suffix`.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("pool.db");
        let held = FileLock::take(&database).unwrap();
        assert!(matches!(FileLock::take(&database), Err(LockRefused::Held)));
        drop(held);
        assert!(FileLock::take(&database).is_ok());
    }
}
