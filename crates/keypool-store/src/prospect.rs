//! A database before it is opened for use: locked, looked at, unchanged. A start that is refused leaves it as it was.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use keypool_core::Timestamp;

use crate::backup::write_copy;
use crate::driver::{DriverError, Statement};
use crate::error::{OpenStoreError, StoreError};
use crate::migrate::{migrate, moments_view};
use crate::oddities::{Oddity, list_oddities};
use crate::recognise::{Shape, Unrecognised, recognise};
use crate::settings::{StoreSettings, Synchronous};
use crate::sqlite::connection::{Connection, Purpose};
use crate::sqlite::lock::{FileLock, LockRefused};
use crate::sqlite::{Site, Sqlite};
use crate::store::Store;

/// A database that is locked for us and was found to be one that can be opened.
pub struct Prospect {
    site: Site,
    lock: FileLock,
    shape: Shape,
    connection: Connection,
}

/// A sealed or plain value of a living key, to be tried before the database is opened. Prints no value.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// The key's UUID.
    pub key: String,
    /// The key's name.
    pub name: String,
    /// The bound secret's name; `None` for the key's own value.
    pub secret: Option<String>,
    /// What is stored.
    pub text: String,
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredValue")
            .field("key", &self.key)
            .field("name", &self.name)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Prospect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prospect")
            .field("path", &self.site.path)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// Makes the folder and the file if they are missing (mode 0600), takes the lock, and says what the file holds without
/// changing it.
///
/// # Errors
/// The file cannot be made, read or locked, another keypooler serves it, or it is not one that can be taken.
pub async fn inspect(settings: StoreSettings) -> Result<Prospect, OpenStoreError> {
    let path = make_file(&settings.path)?;
    let lock = FileLock::take(&path).map_err(|refused| match refused {
        LockRefused::Held => OpenStoreError::Served { path: path.clone() },
        LockRefused::Io(source) => OpenStoreError::Lock { path: path.clone(), source },
    })?;
    let StoreSettings { synchronous, busy_timeout, .. } = settings;
    let site = Site { path, synchronous, busy_timeout };
    let (mut connection, shape) = look_at(&site).await?;
    if shape == Shape::Version(1) {
        let found = unreadable_moment(&mut connection).await;
        let failed = |source| OpenStoreError::Access { path: site.path.clone(), source };
        if let Some((key, name, column)) = found.map_err(failed)? {
            return Err(OpenStoreError::Moment { path: site.path, key, name, column });
        }
    }
    Ok(Prospect { site, lock, shape, connection })
}

impl Prospect {
    /// What the database is.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The value of every living key and every secret bound to one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn values(&mut self) -> Result<Vec<StoredValue>, StoreError> {
        let sql = match self.shape {
            Shape::Empty => return Ok(Vec::new()),
            Shape::Version(1) => {
                "SELECT coalesce(CAST(id AS TEXT), ''), CAST(name AS TEXT), NULL, CAST(key_value AS TEXT) FROM keys
                 UNION ALL
                 SELECT CAST(s.key_id AS TEXT), CAST(k.name AS TEXT), CAST(s.name AS TEXT), CAST(s.value AS TEXT)
                 FROM key_secrets AS s JOIN keys AS k ON CAST(k.id AS TEXT) = CAST(s.key_id AS TEXT)"
            }
            Shape::Version(_) => {
                "SELECT key_uuid, name, NULL, key_value FROM keys WHERE deleted_ms IS NULL
                 UNION ALL
                 SELECT k.key_uuid, k.name, s.name, s.value FROM key_secrets AS s JOIN keys AS k USING (key_no)
                 WHERE k.deleted_ms IS NULL"
            }
        };
        let rows = self.connection.read(Statement::new(sql)).await.map_err(StoreError::Read)?;
        let value = |mut row: crate::driver::Row| {
            Ok(StoredValue {
                key: row.text()?,
                name: row.text()?,
                secret: row.text_or_null()?,
                text: row.text()?,
            })
        };
        rows.into_iter().map(value).collect::<Result<_, _>>().map_err(StoreError::Read)
    }

    /// The rows of a version 1 database that the takeover keeps but that are not as they should be; none otherwise.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn oddities(&mut self) -> Result<Vec<Oddity>, StoreError> {
        match self.shape {
            Shape::Version(1) => {
                list_oddities(&mut self.connection).await.map_err(StoreError::Read)
            }
            Shape::Empty | Shape::Version(_) => Ok(Vec::new()),
        }
    }

    /// The moment of the newest usage event; `None` where there is none that can be read.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn newest_event(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let sql = match self.shape {
            Shape::Empty => return Ok(None),
            Shape::Version(1) => {
                "SELECT max(m.ms) FROM takeover_moments AS m
                 WHERE m.written IN (SELECT created_at FROM usage_events)"
            }
            Shape::Version(_) => "SELECT max(id) >> 21 FROM usage_events",
        };
        let mut rows = self.connection.read(Statement::new(sql)).await.map_err(StoreError::Read)?;
        let newest = rows.first_mut().map_or(Ok(None), crate::driver::Row::int_or_null);
        Ok(newest.map_err(StoreError::Read)?.map(Timestamp::from_millis))
    }

    /// Brings the database up to date and opens it. A version 1 database is copied beside itself first.
    ///
    /// # Errors
    /// The copy, a migration or the connection's settings failed; the database is then at the version it had, or at the
    /// last one that was reached whole.
    pub async fn open(mut self) -> Result<Store, OpenStoreError> {
        let path = self.site.path.clone();
        if self.shape == Shape::Version(1) {
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
        let driver =
            opened.map_err(|source| OpenStoreError::Access { path: path.clone(), source })?;
        if let Err(error) = migrate(&path, &driver, self.shape).await {
            driver.close().await;
            return Err(error);
        }
        Ok(Store::new(driver))
    }
}

/// Opens a file to look at it, and says what it holds. Takes no lock.
pub(crate) async fn look(path: &Path) -> Result<(Connection, Shape), OpenStoreError> {
    let absolute = fs::canonicalize(path)
        .map_err(|source| OpenStoreError::File { path: path.to_owned(), source })?;
    let busy_timeout = Duration::from_secs(5);
    look_at(&Site { path: absolute, synchronous: Synchronous::Full, busy_timeout }).await
}

async fn look_at(site: &Site) -> Result<(Connection, Shape), OpenStoreError> {
    let path = site.path.clone();
    match try_to_look(site).await {
        Ok(found) => Ok(found),
        Err(Unrecognised::Newer(found)) => {
            Err(OpenStoreError::Newer { path, found, known: crate::migrate::NEWEST })
        }
        Err(Unrecognised::Unknown(why)) => Err(OpenStoreError::Unknown { path, why }),
        Err(Unrecognised::Damaged(finding)) => Err(OpenStoreError::Damaged { path, finding }),
        Err(Unrecognised::Driver(DriverError::NotADatabase)) => {
            Err(OpenStoreError::NotADatabase { path })
        }
        Err(Unrecognised::Driver(DriverError::Damaged)) => {
            let finding = "SQLite cannot make sense of its pages".to_owned();
            Err(OpenStoreError::Damaged { path, finding })
        }
        Err(Unrecognised::Driver(source)) => Err(OpenStoreError::Access { path, source }),
    }
}

async fn try_to_look(site: &Site) -> Result<(Connection, Shape), Unrecognised> {
    let mut connection = Connection::open(site, Purpose::Look).await?;
    let mut shape = recognise(&mut connection).await;
    if let Err(Unrecognised::Driver(DriverError::ReadOnly | DriverError::CannotOpen)) = shape {
        // A transaction that was cut off has to be undone first, and that takes writing.
        connection.close().await;
        connection = Connection::open(site, Purpose::LookAfterRecovery).await?;
        shape = recognise(&mut connection).await;
    }
    let shape = shape?;
    if shape == Shape::Version(1) {
        connection.assembled(moments_view()).await?;
        let kept = "CREATE TEMP TABLE takeover_moments AS SELECT written, ms FROM takeover_times WHERE ms IS NOT NULL;
             CREATE INDEX temp.takeover_moments_written ON takeover_moments(written);";
        connection.bare(kept).await?;
    }
    connection.bare("PRAGMA query_only = ON").await?;
    Ok((connection, shape))
}

/// The first key whose expiry or window start cannot be read: its id, its name and the column.
async fn unreadable_moment(
    connection: &mut Connection,
) -> Result<Option<(String, String, String)>, DriverError> {
    let statement = Statement::new(
        "SELECT coalesce(CAST(k.id AS TEXT), ''), CAST(k.name AS TEXT), 'expires_at'
         FROM keys AS k LEFT JOIN takeover_moments AS m ON m.written = k.expires_at
         WHERE k.expires_at IS NOT NULL AND m.ms IS NULL
         UNION ALL
         SELECT coalesce(CAST(k.id AS TEXT), ''), CAST(k.name AS TEXT), 'usage_window_start'
         FROM keys AS k LEFT JOIN takeover_moments AS m ON m.written = k.usage_window_start
         WHERE k.usage_window_start IS NOT NULL AND m.ms IS NULL
         LIMIT 1",
    );
    match connection.read(statement).await?.first_mut() {
        Some(row) => Ok(Some((row.text()?, row.text()?, row.text()?))),
        None => Ok(None),
    }
}

/// Makes the folder and the file where they are missing, and gives the file's canonical path.
fn make_file(path: &Path) -> Result<PathBuf, OpenStoreError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|source| OpenStoreError::Folder { path: path.to_owned(), source })?;
    }
    let failed = |source| OpenStoreError::File { path: path.to_owned(), source };
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(_) | Err(_) => {}
    }
    let path = fs::canonicalize(path).map_err(failed)?;
    let metadata = fs::metadata(&path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(OpenStoreError::NotAFile { path });
    }
    if metadata.nlink() > 1 {
        return Err(OpenStoreError::Linked { path, links: metadata.nlink() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(), mode = format!("{mode:o}"),
            "the database file can be read by others than its owner; set its mode to 600"
        );
    }
    Ok(path)
}
