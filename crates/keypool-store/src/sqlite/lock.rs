//! The lock that keeps a second server off a database file, and the note in it by which the server tells its guests how far
//! it has come. Owns the lock file; knows nothing of SQLite.
//!
//! The note is one line: the revision that the holder has taken over, twice, so that one that is read while it is written
//! is not taken for another; then what else it has to say.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::time::sleep;

use crate::driver::Host;

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

/// Whoever may write to the folder can put a link there, to a file that root is to empty and to give away.
pub(crate) const NOT_ELSEWHERE: i32 = OFlags::NOFOLLOW.bits().cast_signed();

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
            .custom_flags(NOT_ELSEWHERE)
            .open(beside(database, ".lock"))
            .map_err(LockRefused::Io)?;
        let metadata = file.metadata().map_err(LockRefused::Io)?;
        if !metadata.is_file() || metadata.nlink() > 1 {
            let other = "the lock is no file of its own";
            return Err(LockRefused::Io(io::Error::new(io::ErrorKind::InvalidInput, other)));
        }
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

    /// Gives the lock's file to somebody.
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        fchown(&self.file, Some(uid), Some(gid))
    }

    /// Notes the revision that the holder has taken over, and a remark that stays the same for as long as it holds the lock.
    pub(crate) fn note(&self, revision: i64, remark: &str) -> io::Result<()> {
        self.file.write_all_at(format!("{revision:020} {revision:020} {remark}\n").as_bytes(), 0)
    }
}

/// What the holder of a database's lock has to say.
pub(crate) fn host(database: &Path) -> io::Result<Host> {
    let path = beside(database, ".lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Host::Absent),
        Err(error) => return Err(error),
    };
    let note = io::read_to_string(&file)?;
    // A shared lock is enough to know whether anybody has it, and does not keep another guest from knowing.
    match file.try_lock_shared() {
        Ok(()) => Ok(Host::Absent),
        Err(TryLockError::WouldBlock) => Ok(read_note(&note).unwrap_or(Host::Silent)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn read_note(note: &str) -> Option<Host> {
    let mut words = note.strip_suffix('\n')?.splitn(3, ' ');
    let (first, second, remark) = (words.next()?, words.next()?, words.next()?);
    let revision = first.parse().ok()?;
    (first == second).then(|| Host::Says { revision, remark: remark.to_owned() })
}

/// The file beside the database whose name goes on with `suffix`.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The first name beside the database that nothing has: with the suffix, or with a number behind it.
pub(crate) fn free_name(database: &Path, suffix: &str) -> PathBuf {
    let is_taken = |name: &Path| name.exists() || beside(name, "-wal").exists();
    names(database, suffix).find(|name| !is_taken(name)).expect("there are numbers enough")
}

/// The names beside the database with the suffix: without a number behind it, then with each from 2 on.
pub(crate) fn names(database: &Path, suffix: &str) -> impl Iterator<Item = PathBuf> {
    (1_u32..).map(move |number| match number {
        1 => beside(database, suffix),
        number => beside(database, &format!("{suffix}.{number}")),
    })
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
        let host = || host(&database).unwrap();
        assert_eq!(host(), Host::Absent);
        let held = FileLock::take(&database).await.unwrap();
        assert_eq!(host(), Host::Silent);
        for revision in [6, 10] {
            held.note(revision, "a remark").unwrap();
            assert_eq!(host(), Host::Says { revision, remark: "a remark".to_owned() });
        }
        drop(held);
        assert_eq!(host(), Host::Absent, "whatever the note says");
        let _held = FileLock::take(&database).await.unwrap();
        assert_eq!(host(), Host::Silent, "the note of the holder before does not count");
    }

    #[test]
    fn a_note_that_was_read_while_it_was_written_is_none() {
        let says = |remark: &str| Some(Host::Says { revision: 99, remark: remark.to_owned() });
        assert_eq!(read_note("00099 00099 \n"), says(""));
        assert_eq!(read_note("00099 00099 a b\n"), says("a b"));
        for note in ["", "00099", "00199 00100 \n", "x x \n", "00099 00099 a"] {
            assert_eq!(read_note(note), None, "{note:?}");
        }
    }
}
