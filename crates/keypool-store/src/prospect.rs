//! A database before it is opened for use: locked, looked at, unchanged. A start that is refused leaves it as it was.

pub(crate) mod file;
#[cfg(feature = "libsql")]
mod server;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use keypool_core::Timestamp;

use self::file::FileProspect;
#[cfg(feature = "libsql")]
use self::server::ServerProspect;
use crate::driver::{Driver, DriverError, Row, Seat, Statement};
use crate::error::{OpenStoreError, StoreError};
use crate::migrate::{NEWEST, migrate, with_moments};
use crate::oddities::{Oddity, list_oddities};
use crate::recognise::{Shape, Unrecognised, recognise};
use crate::settings::StoreSettings;
use crate::sqlite::connection::Connection;
use crate::store::Store;
use crate::values::{self, StoredValue};

/// A database that was found to be one that can be opened; a file is locked for us, unless it is opened by a guest.
pub struct Prospect {
    pub(crate) source: Source,
    pub(crate) shape: Shape,
    pub(crate) seat: Seat,
}

/// Where it is, and the way to look into it.
pub(crate) enum Source {
    File(FileProspect),
    #[cfg(feature = "libsql")]
    Server(ServerProspect),
}

impl Source {
    /// Runs one statement that changes nothing to its rows.
    pub(crate) async fn read(&mut self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        match self {
            Source::File(file) => file.read(statement).await,
            #[cfg(feature = "libsql")]
            Source::Server(server) => server.read(statement).await,
        }
    }

    /// The file, or where the server is.
    pub(crate) fn place(&self) -> PathBuf {
        match self {
            Source::File(file) => file.path(),
            #[cfg(feature = "libsql")]
            Source::Server(server) => server.place(),
        }
    }

    /// All that is read from here on is of one moment, where it can be had: a server's statements each see their own.
    pub(crate) async fn begin(&mut self) -> Result<(), DriverError> {
        match self {
            Source::File(file) => file.begin().await,
            #[cfg(feature = "libsql")]
            Source::Server(_) => Ok(()),
        }
    }

    /// The connection to a file, if it is one.
    pub(crate) fn file(&mut self) -> Option<&mut Connection> {
        match self {
            Source::File(file) => Some(file.connection()),
            #[cfg(feature = "libsql")]
            Source::Server(_) => None,
        }
    }

    /// Whether it is a database server.
    pub(crate) fn is_server(&self) -> bool {
        match self {
            Source::File(_) => false,
            #[cfg(feature = "libsql")]
            Source::Server(_) => true,
        }
    }

    /// Nothing is to be changed from here on, as far as that can be asked for.
    async fn forbid_writes(&mut self) -> Result<(), DriverError> {
        match self {
            Source::File(file) => file.forbid_writes().await,
            #[cfg(feature = "libsql")]
            Source::Server(_) => Ok(()),
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Source::File(file) => file.close().await,
            #[cfg(feature = "libsql")]
            Source::Server(server) => server.close().await,
        }
    }

    /// The way to use it, as it is. A file of version 1 is copied beside itself first.
    pub(crate) async fn open_for_use(self, shape: Shape) -> Result<Driver, OpenStoreError> {
        match self {
            Source::File(file) => file.open_for_use(shape).await.map(Driver::Sqlite),
            #[cfg(feature = "libsql")]
            Source::Server(server) => Ok(server.open_for_use()),
        }
    }

    fn clock_leeway(&self) -> Option<Duration> {
        match self {
            Source::File(_) => None,
            #[cfg(feature = "libsql")]
            Source::Server(server) => server.clock_leeway(),
        }
    }
}

impl fmt::Debug for Prospect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prospect")
            .field("place", &self.source.place())
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// Says what a database holds without changing it. A file and its folder are made if they are missing (mode 0600), and the
/// file's lock is taken.
///
/// # Errors
/// The database cannot be reached, made, read or locked, another keypooler serves the file, or it is not one that can be
/// taken.
pub async fn inspect(settings: impl Into<StoreSettings>) -> Result<Prospect, OpenStoreError> {
    let source = match settings.into() {
        StoreSettings::Sqlite(settings) => Source::File(file::take(settings).await?),
        #[cfg(feature = "libsql")]
        StoreSettings::Libsql(settings) => Source::Server(server::call(settings).await?),
        #[cfg(feature = "simulation")]
        StoreSettings::Simulated(settings) => Source::Server(server::call_simulated(settings)),
    };
    let (mut source, shape) = look_into(source).await?;
    if shape == Shape::Version(1) {
        let path = source.place();
        let found = unreadable_moment(&mut source).await;
        let failed = |source| OpenStoreError::Access { path: path.clone(), source };
        if let Some((key, name, column)) = found.map_err(failed)? {
            return Err(OpenStoreError::Moment { path, key, name, column });
        }
    }
    Ok(Prospect { source, shape, seat: Seat::Server })
}

/// The same for a guest: a command that writes to the database beside whoever serves it, as one more replica. It takes no
/// lock, makes nothing and migrates nothing: the database has to be there and to have this version's schema.
///
/// # Errors
/// The database cannot be reached or read, is none of ours, or has another schema.
pub async fn visit(settings: impl Into<StoreSettings>) -> Result<Prospect, OpenStoreError> {
    let source = match settings.into() {
        StoreSettings::Sqlite(settings) => Source::File(file::visit(settings).await?),
        #[cfg(feature = "libsql")]
        StoreSettings::Libsql(settings) => Source::Server(server::call(settings).await?),
        #[cfg(feature = "simulation")]
        StoreSettings::Simulated(settings) => Source::Server(server::call_simulated(settings)),
    };
    let (source, shape) = look_into(source).await?;
    let path = source.place();
    let found = match shape {
        Shape::Version(found) if i64::from(found) == NEWEST => {
            return Ok(Prospect { source, shape, seat: Seat::Guest });
        }
        Shape::Version(found) => i64::from(found),
        Shape::Empty => 0,
    };
    source.close().await;
    Err(OpenStoreError::Older { path, found, known: NEWEST })
}

/// The same for whoever only looks: takes no lock and makes nothing. A file that does not exist is empty.
pub(crate) async fn glance(
    settings: StoreSettings,
) -> Result<Option<(Source, Shape)>, OpenStoreError> {
    let source = match settings {
        StoreSettings::Sqlite(settings) => match file::find(&settings.path).await? {
            None => return Ok(None),
            Some(file) => Source::File(file),
        },
        #[cfg(feature = "libsql")]
        StoreSettings::Libsql(settings) => Source::Server(server::call(settings).await?),
        #[cfg(feature = "simulation")]
        StoreSettings::Simulated(settings) => Source::Server(server::call_simulated(settings)),
    };
    look_into(source).await.map(Some)
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
        living_values(&mut self.source, self.shape).await.map_err(StoreError::Read)
    }

    /// The secrets that were taken over and belong to nothing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn orphaned_values(&mut self) -> Result<Vec<StoredValue>, StoreError> {
        let Some(statement) = values::orphaned(self.shape) else { return Ok(Vec::new()) };
        let rows = self.source.read(statement).await.map_err(StoreError::Read)?;
        values::read(rows).map_err(StoreError::Read)
    }

    /// The rows of a version 1 database that the takeover keeps but that are not as they should be; none otherwise.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn oddities(&mut self) -> Result<Vec<Oddity>, StoreError> {
        match self.shape {
            Shape::Version(1) => list_oddities(&mut self.source).await.map_err(StoreError::Read),
            Shape::Empty | Shape::Version(_) => Ok(Vec::new()),
        }
    }

    /// The moment of the newest usage event; `None` where there is none that can be read.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn newest_event(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let statement = match self.shape {
            Shape::Empty => return Ok(None),
            Shape::Version(1) => Statement::long(with_moments(
                "SELECT max(m.ms) FROM takeover_moments AS m
                 WHERE m.written IN (SELECT created_at FROM usage_events)",
            )),
            Shape::Version(_) => Statement::new("SELECT max(id) >> 21 FROM usage_events"),
        };
        let mut rows = self.source.read(statement).await.map_err(StoreError::Read)?;
        let newest = rows.first_mut().map_or(Ok(None), Row::int_or_null);
        Ok(newest.map_err(StoreError::Read)?.map(Timestamp::from_millis))
    }

    /// The database's own clock, where that is the one to go by.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn database_clock(&mut self) -> Result<Option<Timestamp>, StoreError> {
        match &mut self.source {
            Source::File(_) => Ok(None),
            #[cfg(feature = "libsql")]
            Source::Server(server) => server.clock().await.map(Some).map_err(StoreError::Read),
        }
    }

    /// The way to look into it, for whoever does not open it.
    pub(crate) fn into_source(self) -> Source {
        self.source
    }

    /// Brings the database up to date and opens it; a guest opens it as it is. A file of version 1 is copied beside itself
    /// first.
    ///
    /// # Errors
    /// The copy, a migration or the connection's settings failed, or the database holds an unfinished copy; it is then at
    /// the version it had, or at the last one that was reached whole.
    pub async fn open(self) -> Result<Store, OpenStoreError> {
        let path = self.source.place();
        let (shape, seat) = (self.shape, self.seat);
        let clock_leeway = self.source.clock_leeway();
        let driver = self.source.open_for_use(shape).await?;
        let migrated = match seat {
            Seat::Server => migrate(&path, &driver, shape).await,
            Seat::Guest => Ok(()),
        };
        let finished = match migrated {
            Ok(()) => refuse_unfinished(&path, &driver).await,
            Err(error) => Err(error),
        };
        match finished {
            Ok(()) => Ok(Store::new(driver, clock_leeway)),
            Err(error) => {
                driver.close().await;
                Err(error)
            }
        }
    }
}

/// The value of every living key and every secret bound to one.
pub(crate) async fn living_values(
    source: &mut Source,
    shape: Shape,
) -> Result<Vec<StoredValue>, DriverError> {
    let Some(statement) = values::living(shape) else { return Ok(Vec::new()) };
    values::read(source.read(statement).await?)
}

async fn refuse_unfinished(path: &std::path::Path, driver: &Driver) -> Result<(), OpenStoreError> {
    let failed = |source| OpenStoreError::Access { path: path.to_owned(), source };
    let look = Statement::new("SELECT is_copying FROM pool");
    let mut rows = driver.read(look).await.map_err(failed)?;
    match rows.first_mut().map(Row::int).transpose().map_err(failed)? {
        Some(0) => Ok(()),
        Some(_) | None => Err(OpenStoreError::Unfinished { path: path.to_owned() }),
    }
}

/// Says what it holds; a file may have to be opened another way for that.
async fn look_into(mut source: Source) -> Result<(Source, Shape), OpenStoreError> {
    let mut found = recognise(&mut source).await;
    if let (Source::File(file), Err(Unrecognised::Driver(error))) = (&mut source, &found)
        && matches!(error, DriverError::ReadOnly | DriverError::CannotOpen)
    {
        found = match file.recover().await {
            Ok(()) => recognise(&mut source).await,
            Err(error) => Err(Unrecognised::Driver(error)),
        };
    }
    let path = source.place();
    let shape = match found {
        Ok(shape) => shape,
        Err(unrecognised) => {
            source.close().await;
            return Err(refusal(path, unrecognised));
        }
    };
    let failed = |source| OpenStoreError::Access { path, source };
    source.forbid_writes().await.map_err(failed)?;
    Ok((source, shape))
}

fn refusal(path: PathBuf, unrecognised: Unrecognised) -> OpenStoreError {
    match unrecognised {
        Unrecognised::Newer(found) => OpenStoreError::Newer { path, found, known: NEWEST },
        Unrecognised::Unknown(why) => OpenStoreError::Unknown { path, why },
        Unrecognised::Damaged(finding) => OpenStoreError::Damaged { path, finding },
        Unrecognised::Driver(DriverError::NotADatabase) => OpenStoreError::NotADatabase { path },
        Unrecognised::Driver(DriverError::Damaged) => {
            let finding = "SQLite cannot make sense of its pages".to_owned();
            OpenStoreError::Damaged { path, finding }
        }
        Unrecognised::Driver(source) => OpenStoreError::Access { path, source },
    }
}

/// The first key whose expiry or window start cannot be read: its id, its name and the column.
async fn unreadable_moment(
    source: &mut Source,
) -> Result<Option<(String, String, String)>, DriverError> {
    let statement = Statement::long(with_moments(
        "SELECT coalesce(CAST(k.id AS TEXT), ''), CAST(k.name AS TEXT), 'expires_at'
         FROM keys AS k LEFT JOIN takeover_moments AS m ON m.written = k.expires_at
         WHERE k.expires_at IS NOT NULL AND m.ms IS NULL
         UNION ALL
         SELECT coalesce(CAST(k.id AS TEXT), ''), CAST(k.name AS TEXT), 'usage_window_start'
         FROM keys AS k LEFT JOIN takeover_moments AS m ON m.written = k.usage_window_start
         WHERE k.usage_window_start IS NOT NULL AND m.ms IS NULL
         LIMIT 1",
    ));
    match source.read(statement).await?.first_mut() {
        Some(row) => Ok(Some((row.text()?, row.text()?, row.text()?))),
        None => Ok(None),
    }
}
