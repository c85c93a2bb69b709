//! Puts a backup in the place of a database file, under that file's lock: no server runs on it meanwhile.
//!
//! What was there before is kept under another name. The backup is written out beside the place and renamed into it, so
//! that at every moment the one or the other stands there whole. Whoever wrote to the pool before can write no more.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::backup::unfinished_beside;
use crate::compact::{sync, sync_folder_of, write_compact};
use crate::driver::{DriverError, Row, Statement};
use crate::error::OpenStoreError;
use crate::prospect::file::take_place;
use crate::prospect::glance;
use crate::recognise::Shape;
use crate::settings::{SqliteSettings, Synchronous};
use crate::sqlite::Site;
use crate::sqlite::connection::{Connection, Purpose};
use crate::sqlite::lock::{FileLock, NOT_ELSEWHERE, beside, free_name};

/// What becomes of a database that stands in the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is done where there is one.
    Refuse,
    /// It is kept under another name.
    KeepAside,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// Its schema version: where it is an older one, the next start brings it to today's.
    pub schema_version: u32,
    /// The name that the database that was there before has now, if there was one.
    pub kept_aside: Option<PathBuf>,
}

/// A backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A database is there.
    #[error(
        "{path} holds a database already and was left as it is: ask for it to be kept aside (--replace), or restore elsewhere"
    )]
    Taken {
        /// The place.
        path: PathBuf,
    },
    /// The place or the backup is not one that can be used.
    #[error("the backup was not restored")]
    Open(#[from] OpenStoreError),
    /// The backup holds nothing.
    #[error("there is no pool in the backup {path}")]
    Nothing {
        /// The backup.
        path: PathBuf,
    },
    /// The backup is the very file that it is to be restored to.
    #[error("{path} cannot be restored to itself")]
    Same {
        /// Both.
        path: PathBuf,
    },
    /// The backup could not be read, or its copy not be written.
    #[error("the backup could not be copied to {path}; what was there is as it was")]
    Copy {
        /// The place.
        path: PathBuf,
        /// Why.
        source: DriverError,
    },
    /// A file could not be made, waited for or renamed.
    #[error("the backup could not be put in the place of {path}")]
    File {
        /// The place.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a database that was replaced has behind its name.
pub(crate) const ASIDE: &str = ".before-restore";
/// What SQLite calls the journals of a file, behind its name.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// The place that a backup is restored to, locked for us.
#[derive(Debug)]
pub struct RestorePlace {
    settings: SqliteSettings,
    lock: FileLock,
}

impl RestorePlace {
    /// Takes the place's lock; the file is made if it is missing.
    ///
    /// # Errors
    /// A server runs on it, there is a database, or the file cannot be made.
    pub async fn take(settings: SqliteSettings, existing: Existing) -> Result<Self, RestoreError> {
        let (path, lock) = take_place(&settings.path).await?;
        let place = Self { settings: SqliteSettings { path, ..settings }, lock };
        let failed = |source| {
            let path = place.settings.path.clone();
            RestoreError::File { path, source }
        };
        let is_taken = place.is_taken().map_err(failed)?;
        place.hand_over(&place.settings.path).map_err(failed)?;
        if existing == Existing::Refuse && is_taken {
            return Err(RestoreError::Taken { path: place.settings.path });
        }
        Ok(place)
    }

    /// Puts the backup there.
    ///
    /// # Errors
    /// [`RestoreError`]; but for [`RestoreError::File`], what was there is as it was.
    pub async fn put(self, backup: &Path) -> Result<RestoreReport, RestoreError> {
        let path = self.settings.path.clone();
        let failed = |source| RestoreError::File { path: path.clone(), source };
        if fs::canonicalize(backup).is_ok_and(|backup| backup == path) {
            return Err(RestoreError::Same { path });
        }
        let folder = unfinished_beside(&path).map_err(failed)?;
        let unfinished = folder.path().join("restored.db");
        let schema_version = self.write(backup, &unfinished).await?;
        self.hand_over(&unfinished).map_err(failed)?;
        sync(&unfinished).map_err(failed)?;
        let kept_aside = self.vacate().await.map_err(failed)?;
        fs::rename(&unfinished, &path).map_err(failed)?;
        sync_folder_of(&path).map_err(failed)?;
        Ok(RestoreReport { schema_version, kept_aside })
    }

    /// What root restores is to be used by whom it belonged to: the owner of the file in place or, where there was none, of
    /// its folder. So is the lock.
    fn hand_over(&self, file: &Path) -> io::Result<()> {
        let path = &self.settings.path;
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let owner = match (self.is_taken()?, path.parent()) {
            (false, Some(folder)) => fs::metadata(folder)?,
            (_, _) => fs::metadata(path)?,
        };
        let file = OpenOptions::new().read(true).custom_flags(NOT_ELSEWHERE).open(file)?;
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        self.lock.give_to(owner.uid(), owner.gid())
    }

    /// Whether anything is there; it may all stand in a journal.
    fn is_taken(&self) -> io::Result<bool> {
        let path = &self.settings.path;
        let is_empty = fs::metadata(path)?.len() == 0;
        Ok(!is_empty || JOURNALS.iter().any(|suffix| beside(path, suffix).exists()))
    }

    /// Writes the backup out, with nobody in it who could write.
    async fn write(&self, backup: &Path, unfinished: &Path) -> Result<u32, RestoreError> {
        let failed = |source| RestoreError::Copy { path: self.settings.path.clone(), source };
        let nothing = || RestoreError::Nothing { path: backup.to_owned() };
        let from = SqliteSettings { path: backup.to_owned(), ..self.settings.clone() };
        let (mut source, shape) = glance(from.into()).await?.ok_or_else(nothing)?;
        let connection = source.file().expect("a backup is a file");
        let written = write_compact(connection, unfinished).await;
        source.close().await;
        written.map_err(failed)?;
        let Shape::Version(version) = shape else { return Err(nothing()) };
        forget_replicas(unfinished).await.map_err(failed)?;
        Ok(version)
    }

    /// Moves what is there out of the way: gives it a second name, which it keeps when its first goes to the backup.
    async fn vacate(&self) -> io::Result<Option<PathBuf>> {
        let path = &self.settings.path;
        if !self.is_taken()? {
            return Ok(None);
        }
        let aside = free_name(path, ASIDE);
        if JOURNALS.iter().any(|suffix| beside(path, suffix).exists()) {
            self.fold_journal().await?;
        }
        for suffix in JOURNALS.into_iter().filter(|suffix| beside(path, suffix).exists()) {
            // It could not be folded in. It goes with its database, and must not stay beside another.
            fs::rename(beside(path, suffix), beside(&aside, suffix))?;
        }
        match fs::remove_file(beside(path, "-shm")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Some file systems know no second names.
        if fs::hard_link(path, &aside).is_err() {
            fs::rename(path, &aside)?;
        }
        Ok(Some(aside))
    }

    /// Whoever closes a file last folds its journal in. Where it can't be read, the file is damaged, and kept as it is.
    async fn fold_journal(&self) -> io::Result<()> {
        let opened = Connection::open(&self.site(), Purpose::LookAfterRecovery).await;
        let Ok(mut connection) = opened else { return Ok(()) };
        let look = connection.read(Statement::new("SELECT count(*) FROM sqlite_master")).await;
        connection.close().await;
        let is_left =
            fs::metadata(beside(&self.settings.path, "-wal")).is_ok_and(|it| it.len() > 0);
        match look {
            Err(error) => {
                tracing::warn!(%error, "the database in place is damaged; it is kept aside as it is");
                Ok(())
            }
            Ok(_) if is_left => {
                let other = "another program has the database open: end it, then do this again";
                Err(io::Error::new(io::ErrorKind::ResourceBusy, other))
            }
            Ok(_) => Ok(()),
        }
    }

    fn site(&self) -> Site {
        let SqliteSettings { path, synchronous, busy_timeout } = self.settings.clone();
        Site { path, synchronous, busy_timeout }
    }
}

/// Nobody who wrote to the pool before has a number any more.
async fn forget_replicas(path: &Path) -> Result<(), DriverError> {
    let synchronous = Synchronous::Full;
    let site = Site { path: path.to_owned(), synchronous, busy_timeout: std::time::Duration::ZERO };
    // Not to write to it, which would bring it into another mode; but this one can.
    let mut connection = Connection::open(&site, Purpose::LookAfterRecovery).await?;
    let look = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'replicas'";
    let mut rows = connection.read(Statement::new(look)).await?;
    let forgotten = match rows.first_mut().map_or(Ok(0), Row::int)? {
        0 => Ok(()),
        _ => connection.write(vec![Statement::new("DELETE FROM replicas")]).await,
    };
    connection.close().await;
    forgotten
}
