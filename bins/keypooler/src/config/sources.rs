//! Gathers what configuration is read from: the file, the environment and the flags. The only module
//! that reads the environment.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use super::error::ConfigError;
use super::names::{NO_COLOR, SETTINGS};

/// The file that is read where `--config` names no other.
const DEFAULT_FILE: &str = "keypooler.toml";

/// All that configuration is made of. Holds secrets, so it does not print.
pub(crate) struct Sources {
    /// The configuration file, if there is one.
    pub(crate) file: Option<ConfigFile>,
    /// The variables that are set, by name; those that nobody asks for may be left out.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// The flags that were given, by the name of the setting that they set.
    pub(crate) flags: Vec<(&'static str, String)>,
    /// What the program was started for.
    pub(crate) mode: Mode,
}

/// What the program was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To serve.
    Serve,
    /// To serve without any set-up.
    Dev,
    /// To carry out a command and end, which needs no admin token.
    Command,
}

/// A configuration file as it was read.
pub(crate) struct ConfigFile {
    /// Its path, as messages name it.
    pub(crate) name: String,
    /// What it holds: TOML.
    pub(crate) text: String,
}

impl ConfigFile {
    /// Reads the file that `--config` names, which must be there, or `keypooler.toml` in the working
    /// directory, which need not.
    pub(crate) fn read(named: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self { name, text })),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let flag = if named.is_some() { "--config " } else { "" };
                Err(ConfigError::new(format!("{flag}{name} can't be read: {error}")))
            }
        }
    }
}

/// The variables that are ours to read.
#[expect(clippy::disallowed_methods, reason = "this is the configuration, which alone may")]
pub(crate) fn environment() -> Vec<(&'static str, OsString)> {
    let names = SETTINGS.iter().map(|setting| setting.name).chain([NO_COLOR]);
    names.filter_map(|name| std::env::var_os(name).map(|value| (name, value))).collect()
}
