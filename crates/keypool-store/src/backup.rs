//! Backs a whole pool up into one file, beside whoever serves it.
//!
//! The backup is there whole or not at all: it is written under another name, waited for, looked at, and then renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{TempDir, TempPath};

use crate::compact::{sync, sync_folder_of, write_compact};
use crate::copy::{CopyError, CopyProgress};
use crate::driver::{DriverError, Statement};
use crate::error::OpenStoreError;
use crate::prospect::glance;
use crate::recognise::Shape;
#[cfg(feature = "libsql")]
use crate::settings::SqliteSettings;
use crate::settings::{StoreSettings, Synchronous};
use crate::sqlite::Site;
use crate::sqlite::connection::{Connection, Purpose};

/// What was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Its schema version.
    pub schema_version: u32,
    /// How long the file is.
    pub bytes: u64,
}

/// A pool was not backed up. There is no file of that name, or the one that was there before.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The name is taken.
    #[error("{path} is there already and was left as it is: give the backup another name")]
    Taken {
        /// The name.
        path: PathBuf,
    },
    /// There is nothing to back up.
    #[error("there is no pool in {place} to back up")]
    Nothing {
        /// Where it should be.
        place: PathBuf,
    },
    /// The pool could not be opened.
    #[error("the pool was not opened")]
    Open(#[source] OpenStoreError),
    /// The pool could not be copied from its server.
    #[error("the pool could not be copied from its server")]
    Copy(#[source] CopyError),
    /// The pool could not be read, or the backup not be written.
    #[error("the backup {path} could not be written")]
    Write {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: DriverError,
    },
    /// A file or folder could not be made, waited for or renamed.
    #[error("the backup {path} could not be written")]
    File {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was written is not whole: the database that it was read from is damaged, or the disk that it was written to.
    #[error(
        "what was written for {path} is damaged, and was removed: {finding}; look at the pool with `keypooler verify`"
    )]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What SQLite found.
        finding: String,
    },
}

/// Backs a pool up into a new file, readable by its owner alone. A SQLite file may be served meanwhile, and the backup holds
/// all that was committed before it began; a libSQL database must not be in use, as it is copied table by table.
///
/// # Errors
/// [`BackupError`] says why there is no backup.
pub async fn backup(
    settings: impl Into<StoreSettings>,
    to: &Path,
    progress: impl FnMut(CopyProgress),
) -> Result<BackupReport, BackupError> {
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Taken { path: to.to_owned() });
    }
    let folder = unfinished_beside(to).map_err(failed)?;
    let settings = in_a_file(settings.into(), folder.path(), progress).await?;
    let unfinished = folder.path().join("backup.db");
    let shape = write(settings, to, &unfinished).await?;
    look_at(&unfinished, to).await?;
    sync(&unfinished).map_err(failed)?;
    let bytes = fs::metadata(&unfinished).map_err(failed)?.len();
    let unfinished = TempPath::try_from_path(unfinished).map_err(failed)?;
    unfinished.persist_noclobber(to).map_err(|error| match error.error {
        taken if taken.kind() == io::ErrorKind::AlreadyExists => {
            BackupError::Taken { path: to.to_owned() }
        }
        source => failed(source),
    })?;
    sync_folder_of(to).map_err(failed)?;
    Ok(BackupReport { schema_version: shape, bytes })
}

/// What its folder's name begins with as long as something is not finished.
pub(crate) const UNFINISHED: &str = ".keypooler-unfinished-";

/// A folder for what is not finished, beside the file that it becomes; it goes with this value.
pub(crate) fn unfinished_beside(path: &Path) -> io::Result<TempDir> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder)
}

/// The pool in a file: a server's is copied into one first.
#[cfg(feature = "libsql")]
async fn in_a_file(
    settings: StoreSettings,
    folder: &Path,
    progress: impl FnMut(CopyProgress),
) -> Result<StoreSettings, BackupError> {
    let StoreSettings::Libsql(server) = settings else { return Ok(settings) };
    let (synchronous, busy_timeout) = (Synchronous::Normal, Duration::from_secs(5));
    let copy = SqliteSettings { path: folder.join("copy.db"), synchronous, busy_timeout };
    crate::copy_pool(server, copy.clone(), progress).await.map_err(BackupError::Copy)?;
    Ok(copy.into())
}

#[cfg(not(feature = "libsql"))]
async fn in_a_file(
    settings: StoreSettings,
    _: &Path,
    _: impl FnMut(CopyProgress),
) -> Result<StoreSettings, BackupError> {
    Ok(settings)
}

async fn write(settings: StoreSettings, to: &Path, unfinished: &Path) -> Result<u32, BackupError> {
    let place = settings.place();
    let found = glance(settings).await.map_err(BackupError::Open)?;
    let (mut source, version) = match found {
        Some((source, Shape::Version(version))) => (source, version),
        Some((source, Shape::Empty)) => {
            source.close().await;
            return Err(BackupError::Nothing { place });
        }
        None => return Err(BackupError::Nothing { place }),
    };
    let connection = source.file().expect("a server's pool was copied into a file");
    let written = write_compact(connection, unfinished).await;
    source.close().await;
    written.map_err(|source| BackupError::Write { path: to.to_owned(), source })?;
    Ok(version)
}

/// SQLite's own look at every page of what was written.
async fn look_at(unfinished: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Write { path: to.to_owned(), source };
    let synchronous = Synchronous::Normal;
    let site = Site { path: unfinished.to_owned(), synchronous, busy_timeout: Duration::ZERO };
    let mut connection = Connection::open(&site, Purpose::Look).await.map_err(failed)?;
    let findings = connection.read(Statement::new("PRAGMA integrity_check(1)")).await;
    connection.close().await;
    let finding = findings.and_then(|mut rows| rows.first_mut().map(|row| row.text()).transpose());
    match finding.map_err(failed)? {
        Some(finding) if finding == "ok" => Ok(()),
        finding => {
            Err(BackupError::Damaged { path: to.to_owned(), finding: finding.unwrap_or_default() })
        }
    }
}
