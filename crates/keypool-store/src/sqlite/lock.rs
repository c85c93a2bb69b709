//! The lock that keeps a second server off a database file, and the note in it by which guests see how far the server
//! has come. Owns the lock file; knows nothing of SQLite.
//!
//! The note is one line: the revision that the holder has taken over, twice, so that one that is read while it is written
//! is not taken for another.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// A guest that looks whether the lock is held holds it itself for an instant: it is tried again so often, so far apart.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Holds `<database>.lock` locked for as long as it lives.
///
/// The file itself stays: removing it would let two servers lock two files of one name.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
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
    /// Takes the lock of the database at this canonical path, or says that another process has it. The note of the holder
    /// before goes.
    pub(crate) async fn take(database: &Path) -> Result<FileLock, LockRefused> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(database, ".lock"))
            .map_err(LockRefused::Io)?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).map_err(LockRefused::Io)?;
                    return Ok(FileLock { file });
                }
                Err(TryLockError::WouldBlock) => sleep(BETWEEN_TRIES).await,
                Err(TryLockError::Error(error)) => return Err(LockRefused::Io(error)),
            }
        }
        Err(LockRefused::Held)
    }

    /// Notes the revision that the holder has taken over.
    pub(crate) fn note(&self, revision: i64) -> io::Result<()> {
        self.file.write_all_at(format!("{revision:020} {revision:020}\n").as_bytes(), 0)
    }
}

/// Whether whoever holds the lock of the database has taken over this revision, as far as there is anybody: one that takes
/// the lock later reads the database later.
pub(crate) fn is_noted(database: &Path, revision: i64) -> io::Result<bool> {
    let path = beside(database, ".lock");
    let noted = match fs::read_to_string(&path) {
        Ok(text) => noted(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    if noted.is_some_and(|noted| noted >= revision) {
        return Ok(true);
    }
    // A shared lock is enough to know, and does not keep another guest from knowing.
    match File::open(&path)?.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn noted(text: &str) -> Option<i64> {
    let (first, second) = text.trim_end().split_once(' ')?;
    let revision = first.parse().ok()?;
    (first == second).then_some(revision)
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

    #[tokio::test]
    async fn a_lock_is_held_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("pool.db");
        let held = FileLock::take(&database).await.unwrap();
        assert!(matches!(FileLock::take(&database).await, Err(LockRefused::Held)));
        drop(held);
        assert!(FileLock::take(&database).await.is_ok());
    }

    #[tokio::test]
    async fn a_guest_that_looks_does_not_keep_a_server_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("pool.db");
        drop(FileLock::take(&database).await.unwrap());
        let looking = File::open(beside(&database, ".lock")).unwrap();
        looking.try_lock_shared().unwrap();
        let (taken, ()) = tokio::join!(biased; FileLock::take(&database), async { drop(looking) });
        assert!(taken.is_ok());
    }

    #[tokio::test]
    async fn the_note_says_how_far_the_holder_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("pool.db");
        let is_noted = |revision| is_noted(&database, revision).unwrap();
        assert!(is_noted(7), "nobody ever held the lock");
        let held = FileLock::take(&database).await.unwrap();
        assert!(!is_noted(7));
        held.note(6).unwrap();
        assert!(is_noted(6) && !is_noted(7));
        held.note(10).unwrap();
        assert!(is_noted(7));
        drop(held);
        assert!(is_noted(11), "nobody holds it any more");
        let _held = FileLock::take(&database).await.unwrap();
        assert!(!is_noted(6), "the note of the holder before does not count");
    }

    #[test]
    fn a_note_that_was_read_while_it_was_written_is_none() {
        assert_eq!(noted("00099 00099\n"), Some(99));
        for text in ["", "00099", "00199 00100\n", "x x\n", "00099 0009"] {
            assert_eq!(noted(text), None, "{text:?}");
        }
    }
}
