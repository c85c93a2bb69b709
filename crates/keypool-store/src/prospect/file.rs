//! A database file before it is opened: made if it is missing, locked, looked at through a connection that cannot write.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::driver::{DriverError, Row, Statement};
use crate::error::OpenStoreError;
use crate::recognise::Shape;
use crate::restore;
use crate::settings::{SqliteSettings, Synchronous};
use crate::sqlite::connection::{Connection, Purpose};
use crate::sqlite::lock::{FileLock, LockRefused, beside, names};
use crate::sqlite::{Site, Sqlite};
use crate::takeover_copy::write_copy;

/// A guest waits at least so long for a server that writes without a pause: it comes in between two of its commits.
const GUESTS_PATIENCE: Duration = Duration::from_secs(30);

/// A database file that is looked at.
pub(crate) struct FileProspect {
    site: Site,
    /// None where nobody means to serve it.
    lock: Option<FileLock>,
    connection: Connection,
}

/// Makes the file if it is missing, and takes its lock.
pub(super) async fn take(settings: SqliteSettings) -> Result<FileProspect, OpenStoreError> {
    let SqliteSettings { path, synchronous, busy_timeout } = settings;
    let (path, lock) = take_place(&path).await?;
    FileProspect::open(Site { path, synchronous, busy_timeout }, Some(lock)).await
}

/// Finds the file for a guest. Takes no lock.
pub(super) async fn visit(settings: SqliteSettings) -> Result<FileProspect, OpenStoreError> {
    let SqliteSettings { path, synchronous, busy_timeout } = settings;
    let path = match fs::canonicalize(&path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenStoreError::Missing { path });
        }
        Err(source) => return Err(OpenStoreError::File { path, source }),
    };
    check_file(&path)?;
    let busy_timeout = busy_timeout.max(GUESTS_PATIENCE);
    FileProspect::open(Site { path, synchronous, busy_timeout }, None).await
}

/// Makes the file if it is missing, and takes its lock; gives its canonical path.
pub(crate) async fn take_place(path: &Path) -> Result<(PathBuf, FileLock), OpenStoreError> {
    let path = make_file(path)?;
    match FileLock::take(&path).await {
        Ok(lock) => Ok((path, lock)),
        Err(LockRefused::Held) => Err(OpenStoreError::Served { path }),
        Err(LockRefused::Io(source)) => Err(OpenStoreError::Lock { path, source }),
    }
}

/// Opens the file to look at it, if there is one. Takes no lock.
pub(super) async fn find(path: &Path) -> Result<Option<FileProspect>, OpenStoreError> {
    let failed = |source| OpenStoreError::File { path: path.to_owned(), source };
    if !path.try_exists().map_err(failed)? {
        return Ok(None);
    }
    let path = fs::canonicalize(path).map_err(failed)?;
    let busy_timeout = Duration::from_secs(5);
    let site = Site { path, synchronous: Synchronous::Full, busy_timeout };
    FileProspect::open(site, None).await.map(Some)
}

impl FileProspect {
    async fn open(site: Site, lock: Option<FileLock>) -> Result<FileProspect, OpenStoreError> {
        match Connection::open(&site, Purpose::Look).await {
            Ok(connection) => Ok(FileProspect { site, lock, connection }),
            Err(source) => Err(super::refusal(site.path, super::Unrecognised::Driver(source))),
        }
    }

    pub(super) async fn read(&mut self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        self.connection.read(statement).await
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(super) fn path(&self) -> PathBuf {
        self.site.path.clone()
    }

    pub(super) async fn close(self) {
        self.connection.close().await;
    }

    /// Looks again through a connection that may write: a transaction that was cut off has to be undone first.
    pub(super) async fn recover(&mut self) -> Result<(), DriverError> {
        let connection = Connection::open(&self.site, Purpose::LookAfterRecovery).await?;
        std::mem::replace(&mut self.connection, connection).close().await;
        Ok(())
    }

    /// Reads from here on are of one moment. They may sort more than belongs into memory.
    pub(super) async fn begin(&mut self) -> Result<(), DriverError> {
        self.connection.bare("PRAGMA temp_store = DEFAULT").await?;
        self.connection.bare("BEGIN").await
    }

    /// Nothing is to be changed from here on.
    pub(super) async fn forbid_writes(&mut self) -> Result<(), DriverError> {
        self.connection.bare("PRAGMA query_only = ON").await
    }

    /// Opens the file for use, with a copy of it beside where the Go program made it.
    pub(super) async fn open_for_use(mut self, shape: Shape) -> Result<Sqlite, OpenStoreError> {
        let path = self.path();
        if shape == Shape::Version(1) {
            let copy = write_copy(&path, &mut self.connection).await?;
            tracing::info!(
                path = %path.display(), copy = %copy.display(),
                "a database of the Go program is taken over; a copy of it was written"
            );
            let owner_only = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
            owner_only.map_err(|source| OpenStoreError::File { path: path.clone(), source })?;
        }
        self.connection.close().await;
        let opened = Sqlite::open(self.site, self.lock).await;
        opened.map_err(|source| OpenStoreError::Access { path, source })
    }
}

/// Refuses what is no file, and one of several names: its journal has the name by which it is opened.
fn check_file(path: &Path) -> Result<fs::Metadata, OpenStoreError> {
    let metadata = fs::metadata(path)
        .map_err(|source| OpenStoreError::File { path: path.to_owned(), source })?;
    let path = path.to_owned();
    match metadata.nlink() {
        _ if !metadata.is_file() => Err(OpenStoreError::NotAFile { path }),
        0 | 1 => Ok(metadata),
        links => Err(OpenStoreError::Linked { path, links }),
    }
}

/// A restore that was killed at the wrong moment leaves the database that it was to replace under two names: then the second
/// goes.
fn end_cut_off_restore(path: &Path) -> io::Result<()> {
    let inode = fs::metadata(path)?;
    if inode.nlink() != 2 {
        return Ok(());
    }
    let is_same = |other: &Path| {
        fs::symlink_metadata(other)
            .is_ok_and(|other| (other.dev(), other.ino()) == (inode.dev(), inode.ino()))
    };
    if let Some(second) =
        names(path, restore::ASIDE).take_while(|name| name.exists()).find(|name| is_same(name))
    {
        fs::remove_file(&second)?;
        tracing::warn!(
            path = %path.display(), removed = %second.display(),
            "a restore was cut off before anything was replaced; the second name that it gave the database was removed"
        );
    }
    Ok(())
}

/// What is in the journal of a file that is gone would be lost with the first write to a new one.
fn refuse_lone_journal(path: &Path) -> io::Result<()> {
    let journal = beside(path, "-wal");
    let is_left = fs::metadata(&journal).is_ok_and(|journal| journal.len() > 0);
    if path.exists() || !is_left {
        return Ok(());
    }
    let journal = journal.display();
    let lone = format!(
        "{journal} lies there without its database: put the file back that belongs to it, or take it away"
    );
    Err(io::Error::new(io::ErrorKind::NotFound, lone))
}

/// Makes the folder and the file where they are missing, and gives the file's canonical path.
fn make_file(path: &Path) -> Result<PathBuf, OpenStoreError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|source| OpenStoreError::Folder { path: path.to_owned(), source })?;
    }
    let failed = |source| OpenStoreError::File { path: path.to_owned(), source };
    refuse_lone_journal(path).map_err(failed)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(_) | Err(_) => {}
    }
    let path = fs::canonicalize(path).map_err(failed)?;
    end_cut_off_restore(&path).map_err(failed)?;
    let metadata = check_file(&path)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(), mode = format!("{mode:o}"),
            "the database file can be read by others than its owner; set its mode to 600"
        );
    }
    Ok(path)
}
