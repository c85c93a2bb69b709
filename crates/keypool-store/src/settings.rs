//! What a store needs to be told: where the database is and how it is kept.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "libsql")]
use crate::libsql::LibsqlSettings;
#[cfg(feature = "simulation")]
use crate::simulated::SimulatedSettings;

/// Where a store's database is, and how it is opened.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// A SQLite file.
    Sqlite(SqliteSettings),
    /// A libSQL database that several replicas may share.
    #[cfg(feature = "libsql")]
    Libsql(LibsqlSettings),
    /// One that is simulated.
    #[cfg(feature = "simulation")]
    Simulated(SimulatedSettings),
}

/// How a store on a SQLite file is opened.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The database file; its folder is made if missing.
    pub path: PathBuf,
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// How long to wait for another process that holds the file locked.
    pub busy_timeout: Duration,
}

/// What a commit waits for, SQLite's `synchronous` (<https://sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: what was committed is there after a power cut.
    Full,
    /// The operating system: a power cut may take the latest commits, a killed process does not.
    Normal,
}

impl StoreSettings {
    /// The file, or where the server is, without a token.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        match self {
            StoreSettings::Sqlite(file) => file.path.clone(),
            #[cfg(feature = "libsql")]
            StoreSettings::Libsql(server) => PathBuf::from(server.url.to_string()),
            #[cfg(feature = "simulation")]
            StoreSettings::Simulated(server) => server.place(),
        }
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&SqliteSettings> {
        match self {
            StoreSettings::Sqlite(file) => Some(file),
            #[cfg(feature = "libsql")]
            StoreSettings::Libsql(_) => None,
            #[cfg(feature = "simulation")]
            StoreSettings::Simulated(_) => None,
        }
    }
}

impl From<SqliteSettings> for StoreSettings {
    fn from(settings: SqliteSettings) -> StoreSettings {
        StoreSettings::Sqlite(settings)
    }
}

#[cfg(feature = "libsql")]
impl From<LibsqlSettings> for StoreSettings {
    fn from(settings: LibsqlSettings) -> StoreSettings {
        StoreSettings::Libsql(settings)
    }
}

#[cfg(feature = "simulation")]
impl From<SimulatedSettings> for StoreSettings {
    fn from(settings: SimulatedSettings) -> StoreSettings {
        StoreSettings::Simulated(settings)
    }
}
