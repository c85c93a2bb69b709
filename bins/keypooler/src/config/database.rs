//! Where the pool is stored: a SQLite file, or a libSQL database that replicas share.

mod place;

use std::fmt;
#[cfg(feature = "libsql")]
use std::num::NonZeroUsize;
use std::time::Duration;

#[cfg(feature = "libsql")]
use keypool_engine::{DatabaseUrl, LibsqlSettings};
use keypool_engine::{SqliteSettings, StoreSettings, Synchronous};

pub(crate) use self::place::Place;
use super::error::ConfigError;
use super::layers::Layers;
use super::sources::Mode;
use super::values;

/// Where the pool is stored, and how carefully.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseSettings {
    store: StoreSettings,
}

/// The file's path, or the URL without the token.
impl fmt::Display for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.store.place().display())
    }
}

impl From<DatabaseSettings> for StoreSettings {
    fn from(settings: DatabaseSettings) -> StoreSettings {
        settings.store
    }
}

impl DatabaseSettings {
    /// The SQLite file, if it is one.
    #[cfg(test)]
    pub(crate) fn file(&self) -> &SqliteSettings {
        let StoreSettings::Sqlite(file) = &self.store else { panic!("no file: {self}") };
        file
    }
}

const SYNCHRONOUS: [(&str, Synchronous); 2] =
    [("full", Synchronous::Full), ("normal", Synchronous::Normal)];

/// A batch that was sent at another time than this, by the database's clock, is refused.
#[cfg(feature = "libsql")]
const CLOCK_LEEWAY: Duration = Duration::from_secs(1);
/// Connections to a database server where nobody says how many.
#[cfg(feature = "libsql")]
const CONNECTIONS: usize = 4;
/// A request to a database server may take so long at least.
#[cfg(feature = "libsql")]
const SHORTEST_DEADLINE: Duration = Duration::from_secs(1);

/// Reads it.
pub(super) fn read(layers: &Layers, mode: Mode) -> Result<DatabaseSettings, ConfigError> {
    let synchronous = layers.parse("DB_SYNCHRONOUS", |text| values::word(text, &SYNCHRONOUS))?;
    let busy_timeout = layers.parse("DB_BUSY_TIMEOUT_MS", values::busy_timeout)?;
    if layers.is_given("DATABASE_URL") {
        let url = layers.blame("DATABASE_URL");
        if mode == Mode::Dev {
            let error = format!("--dev is for a file of its own: unset {url}");
            return Err(ConfigError::new(error));
        }
        // A DB_PATH beside it is the original's usual environment; a flag is meant.
        if layers.is_flag("DB_PATH") {
            let error = format!("--db and {url} contradict each other: unset one of them");
            return Err(ConfigError::new(error));
        }
        return read_server(layers, busy_timeout);
    }
    for name in ["DATABASE_AUTH_TOKEN", "DATABASE_AUTH_TOKEN_FILE", "DATABASE_CA_FILE"] {
        if layers.is_given(name) {
            let blame = layers.blame(name);
            return Err(ConfigError::new(format!("{blame} is set without a DATABASE_URL")));
        }
    }
    layers.parse("DB_MAX_OPEN_CONNS", |text| values::number(text, 1..=1)).map_err(|_| {
        let blame = layers.blame("DB_MAX_OPEN_CONNS");
        ConfigError::new(format!("{blame} takes 1 with a local SQLite database"))
    })?;
    let path = layers.parse("DB_PATH", values::database_path)?;
    Ok(DatabaseSettings { store: SqliteSettings { path, synchronous, busy_timeout }.into() })
}

#[cfg(not(feature = "libsql"))]
fn read_server(layers: &Layers, _: Duration) -> Result<DatabaseSettings, ConfigError> {
    Err(ConfigError::new(format!(
        "{} is set, but this keypooler was built without the feature libsql",
        layers.blame("DATABASE_URL")
    )))
}

#[cfg(feature = "libsql")]
fn read_server(layers: &Layers, busy_timeout: Duration) -> Result<DatabaseSettings, ConfigError> {
    use secrecy::SecretString;

    let text = layers.text("DATABASE_URL")?.unwrap_or_default();
    let (url, within) = DatabaseUrl::parse(&text).map_err(|error| {
        ConfigError::new(format!("{} can't be used: {error}", layers.blame("DATABASE_URL")))
    })?;
    let beside = super::read_secret(layers, "DATABASE_AUTH_TOKEN", "DATABASE_AUTH_TOKEN_FILE")?;
    let auth_token = match (within, beside) {
        (Some(_), Some((_, blame))) => {
            let [url, blame] = ["DATABASE_URL", blame].map(|name| layers.blame(name));
            return Err(ConfigError::new(format!(
                "{blame} and the authToken of {url} contradict each other: set one of them"
            )));
        }
        (within, None) => within,
        (None, Some((token, blame))) => {
            if !values::is_auth_token(&token) {
                return Err(super::refuse_secret(layers, blame, "DATABASE_AUTH_TOKEN"));
            }
            Some(SecretString::from(token.as_str()))
        }
    };
    let connections = if layers.is_given("DB_MAX_OPEN_CONNS") {
        layers.parse("DB_MAX_OPEN_CONNS", |text| values::number(text, 1..=128))?
    } else {
        CONNECTIONS
    };
    let ca_file = layers.text("DATABASE_CA_FILE")?.map(|path| path.as_str().into());
    let server = LibsqlSettings {
        url,
        auth_token,
        ca_file,
        connections: NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN),
        deadline: busy_timeout.max(SHORTEST_DEADLINE),
        clock_leeway: Some(CLOCK_LEEWAY),
    };
    Ok(DatabaseSettings { store: server.into() })
}
