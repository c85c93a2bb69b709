//! A place that a pool is copied from or to, as a flag names it: a path, or a URL without its token, as process lists
//! show command lines.

use std::path::Path;
use std::time::Duration;

use keypool_engine::SqliteSettings;

use super::super::error::ConfigError;
use super::super::layers::Layers;
use super::super::values;
use super::{DatabaseSettings, SYNCHRONOUS};

/// A place, and the flags that tell of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) flag: &'static str,
    pub(crate) text: &'a str,
    pub(crate) token_flag: &'static str,
    /// The file that holds the token of this place alone.
    pub(crate) token_file: Option<&'a Path>,
}

impl Place<'_> {
    /// Reads it, and what the layers have for both places.
    pub(in super::super) fn read(&self, layers: &Layers) -> Result<DatabaseSettings, ConfigError> {
        let busy_timeout = layers.parse("DB_BUSY_TIMEOUT_MS", values::busy_timeout)?;
        if self.text.contains("://") {
            return self.read_server(layers, busy_timeout);
        }
        if self.token_file.is_some() {
            let error = format!("{} is for a URL, and {} is a path", self.token_flag, self.flag);
            return Err(ConfigError::new(error));
        }
        let synchronous =
            layers.parse("DB_SYNCHRONOUS", |text| values::word(text, &SYNCHRONOUS))?;
        let path = values::database_path(self.text).ok_or_else(|| {
            let takes = "the path of a file, or a URL such as libsql://HOST";
            ConfigError::new(format!("{} takes {takes}", self.flag))
        })?;
        Ok(DatabaseSettings { store: SqliteSettings { path, synchronous, busy_timeout }.into() })
    }

    #[cfg(not(feature = "libsql"))]
    fn read_server(&self, _: &Layers, _: Duration) -> Result<DatabaseSettings, ConfigError> {
        let flag = self.flag;
        let error =
            format!("{flag} is a URL, but this keypooler was built without the feature libsql");
        Err(ConfigError::new(error))
    }

    #[cfg(feature = "libsql")]
    fn read_server(
        &self,
        layers: &Layers,
        busy_timeout: Duration,
    ) -> Result<DatabaseSettings, ConfigError> {
        use keypool_engine::{DatabaseUrl, LibsqlSettings};
        use std::num::NonZeroUsize;

        /// Nobody waits for one of the requests; a slow network may carry rows for long.
        const SHORTEST_DEADLINE: Duration = Duration::from_secs(30);

        let Place { flag, token_flag, .. } = self;
        if self.text.split_once('?').is_some_and(|(_, query)| !query.is_empty()) {
            return Err(ConfigError::new(format!(
                "{flag} holds an authToken or another parameter, and process lists show it: leave it out, and set \
                 DATABASE_AUTH_TOKEN, DATABASE_AUTH_TOKEN_FILE or {token_flag}"
            )));
        }
        let (url, _) = DatabaseUrl::parse(self.text)
            .map_err(|error| ConfigError::new(format!("{flag} can't be used: {error}")))?;
        let ca_file = layers.text("DATABASE_CA_FILE")?.map(|path| path.as_str().into());
        let server = LibsqlSettings {
            url,
            auth_token: self.read_token(layers)?,
            ca_file,
            connections: NonZeroUsize::MIN,
            deadline: busy_timeout.max(SHORTEST_DEADLINE),
            clock_leeway: None,
        };
        Ok(DatabaseSettings { store: server.into() })
    }

    /// The token of this place, or else the one that is for both.
    #[cfg(feature = "libsql")]
    fn read_token(&self, layers: &Layers) -> Result<Option<secrecy::SecretString>, ConfigError> {
        use super::super::{names, read_secret, read_secret_file, refuse_secret};

        const TOKEN: &str = "DATABASE_AUTH_TOKEN";
        let token = match self.token_file {
            Some(path) => {
                let token = read_secret_file(self.token_flag, path)?;
                if !values::is_auth_token(&token) {
                    let (flag, takes) = (self.token_flag, names::takes(TOKEN));
                    let error = format!("{flag} names a file that must hold {takes}");
                    return Err(ConfigError::new(error));
                }
                token
            }
            None => {
                let given = read_secret(layers, TOKEN, "DATABASE_AUTH_TOKEN_FILE")?;
                let Some((token, blame)) = given else { return Ok(None) };
                if !values::is_auth_token(&token) {
                    return Err(refuse_secret(layers, blame, TOKEN));
                }
                token
            }
        };
        Ok(Some(secrecy::SecretString::from(token.as_str())))
    }
}
