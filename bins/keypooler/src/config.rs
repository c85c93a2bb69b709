//! Configuration: reads every setting once, at start, into types that cannot be wrong.
//!
//! Defaults, then `keypooler.toml` (or `--config FILE`), then the environment, then flags, each
//! hiding the one before. An empty value is none. No message holds a value.

mod database;
mod encryption;
mod error;
mod layers;
mod names;
mod secret_file;
mod server;
mod sources;
mod values;

use std::path::Path;

use keypool_engine::TokenDigest;
use secrecy::{ExposeSecret, SecretString};
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

pub(crate) use database::{DatabaseSettings, Place};
pub(crate) use encryption::{EncryptionSettings, PlainText};
pub(crate) use error::ConfigError;
use layers::Layers;
pub(crate) use server::{Port, Reached, ServerSettings};
pub(crate) use sources::{ConfigFile, Mode, Sources, environment};

/// The settings that give an admin token: itself, or the file that holds it.
const ADMIN_TOKEN: [&str; 2] = ["ADMIN_TOKEN", "ADMIN_TOKEN_FILE"];
const ADMIN_TOKEN_PREVIOUS: [&str; 2] = ["ADMIN_TOKEN_PREVIOUS", "ADMIN_TOKEN_PREVIOUS_FILE"];

/// An admin token shorter than this is warned of.
const SHORT_ADMIN_TOKEN: usize = 16;

/// All settings of one start.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) database: DatabaseSettings,
    pub(crate) encryption: EncryptionSettings,
    /// There is one in [`Mode::Serve`]; there may be one in [`Mode::Dev`].
    pub(crate) admin_token: Option<SecretString>,
    /// What the token is known by that reads metrics and nothing else, if there is one.
    pub(crate) metrics_token: Option<TokenDigest>,
    /// Whether the environment variable `ADMIN_TOKEN` gave it.
    pub(crate) admin_token_is_in_environment: bool,
    /// The one that is accepted beside it.
    pub(crate) previous_admin_token: Option<SecretString>,
    pub(crate) server: ServerSettings,
    pub(crate) log: LogSettings,
    /// What is accepted but should not stay so; for the log, once there is one.
    pub(crate) warnings: Vec<&'static str>,
}

/// What a copy is told.
#[derive(Debug)]
pub(crate) struct CopySettings {
    pub(crate) from: DatabaseSettings,
    pub(crate) to: DatabaseSettings,
    pub(crate) log: LogSettings,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) level: LevelFilter,
    pub(crate) format: LogFormat,
    /// Whether each request is logged.
    pub(crate) requests: bool,
    /// Whether `NO_COLOR` is set.
    pub(crate) no_color: bool,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Settings {
    /// Reads all settings out of their sources.
    pub(crate) fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = Layers::merge(sources)?;
        let admin_token = match sources.mode {
            Mode::Command => None,
            Mode::Dev => read_admin_token(&layers, ADMIN_TOKEN)?,
            Mode::Serve => Some(read_admin_token(&layers, ADMIN_TOKEN)?.ok_or_else(|| {
                ConfigError::new("ADMIN_TOKEN is required: set it, or ADMIN_TOKEN_FILE")
            })?),
        };
        let previous_admin_token = match sources.mode {
            Mode::Command => None,
            Mode::Dev | Mode::Serve => read_admin_token(&layers, ADMIN_TOKEN_PREVIOUS)?,
        };
        let log = read_log(&layers, sources)?;
        Ok(Self {
            database: database::read(&layers, sources.mode)?,
            encryption: EncryptionSettings::read(&layers)?,
            warnings: warnings(admin_token.as_ref(), previous_admin_token.as_ref()),
            metrics_token: read_metrics_token(
                &layers,
                [admin_token.as_ref(), previous_admin_token.as_ref()],
            )?,
            admin_token_is_in_environment: layers.is_in_environment("ADMIN_TOKEN"),
            admin_token,
            previous_admin_token,
            server: server::read(&layers, sources.mode, log.requests)?,
            log,
        })
    }
}

impl CopySettings {
    /// Reads where to copy from and to; the sources give what both share.
    pub(crate) fn read(
        sources: &Sources,
        from: &Place<'_>,
        to: &Place<'_>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::merge(sources)?;
        Ok(Self {
            from: from.read(&layers)?,
            to: to.read(&layers)?,
            log: read_log(&layers, sources)?,
        })
    }
}

fn read_log(layers: &Layers, sources: &Sources) -> Result<LogSettings, ConfigError> {
    let no_color = sources.environment.iter().find(|(name, _)| *name == names::NO_COLOR);
    Ok(LogSettings {
        level: layers.parse("LOG_LEVEL", |text| values::word(text, &LEVELS))?,
        format: layers.parse("LOG_FORMAT", |text| values::word(text, &FORMATS))?,
        requests: layers.parse("LOG_REQUESTS", values::truth)?,
        no_color: no_color.is_some_and(|(_, value)| !value.is_empty()),
    })
}

const LEVELS: [(&str, LevelFilter); 5] = [
    ("trace", LevelFilter::TRACE),
    ("debug", LevelFilter::DEBUG),
    ("info", LevelFilter::INFO),
    ("warn", LevelFilter::WARN),
    ("error", LevelFilter::ERROR),
];
const FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];

fn read_admin_token(
    layers: &Layers,
    [name, file_name]: [&str; 2],
) -> Result<Option<SecretString>, ConfigError> {
    let Some((token, blame)) = read_secret(layers, name, file_name)? else {
        return Ok(None);
    };
    if !values::is_bearer_token(&token) {
        return Err(refuse_secret(layers, blame, name));
    }
    Ok(Some(SecretString::from(token.as_str())))
}

/// The token for metrics, which is none of the admin's.
fn read_metrics_token(
    layers: &Layers,
    of_admin: [Option<&SecretString>; 2],
) -> Result<Option<TokenDigest>, ConfigError> {
    let Some((token, blame)) = read_secret(layers, "METRICS_TOKEN", "METRICS_TOKEN_FILE")? else {
        return Ok(None);
    };
    if !values::is_bearer_token(&token) {
        return Err(refuse_secret(layers, blame, "METRICS_TOKEN"));
    }
    let token = TokenDigest::of(&token);
    let is_same = |admin: &SecretString| token.matches(&TokenDigest::of(admin.expose_secret()));
    if of_admin.into_iter().flatten().any(is_same) {
        let blame = layers.blame(blame);
        return Err(ConfigError::new(format!(
            "{blame} gives a token that is the admin's: set another one, or none"
        )));
    }
    Ok(Some(token))
}

/// A secret, and the setting that it came by: its own, or that of the file that holds it.
fn read_secret<'a>(
    layers: &Layers,
    name: &'a str,
    file_name: &'a str,
) -> Result<Option<(Zeroizing<String>, &'a str)>, ConfigError> {
    let path = match (layers.text(name)?, layers.text(file_name)?) {
        (None, None) => return Ok(None),
        (Some(secret), None) => return Ok(Some((secret, name))),
        (None, Some(path)) => path,
        (Some(_), Some(_)) => {
            let [name, file_name] = [name, file_name].map(|name| layers.blame(name));
            return Err(ConfigError::new(format!(
                "{name} and {file_name} contradict each other: set one of them"
            )));
        }
    };
    let secret = read_secret_file(&layers.blame(file_name), Path::new(path.as_str()))?;
    Ok(Some((secret, file_name)))
}

fn read_secret_file(blame: &str, path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    secret_file::read_secret(path).map_err(|error| {
        // Not the path: it may be the secret itself, set by mistake.
        ConfigError::new(format!("{blame} names a file that can't be read: {error}"))
    })
}

/// The error of a secret that is not what it should be, told by where it came from.
fn refuse_secret(layers: &Layers, blame: &str, name: &str) -> ConfigError {
    if blame == name {
        return layers.refuse(name);
    }
    let (blame, takes) = (layers.blame(blame), names::takes(name));
    ConfigError::new(format!("{blame} names a file that must hold {takes}"))
}

fn warnings(admin: Option<&SecretString>, previous: Option<&SecretString>) -> Vec<&'static str> {
    let is_short = |token: &SecretString| token.expose_secret().len() < SHORT_ADMIN_TOKEN;
    let of_admin = "ADMIN_TOKEN is shorter than 16 characters: it can be guessed, make it longer";
    let of_previous =
        "ADMIN_TOKEN_PREVIOUS is shorter than 16 characters: it can be guessed, take it away soon";
    [(admin, of_admin), (previous, of_previous)]
        .into_iter()
        .filter_map(|(token, warning)| token.is_some_and(is_short).then_some(warning))
        .collect()
}

#[cfg(test)]
mod packaged;
#[cfg(test)]
mod tests;
