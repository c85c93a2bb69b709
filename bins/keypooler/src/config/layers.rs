//! Lays defaults, file, environment and flags over each other, and remembers which of them a value
//! is from. The only module that knows figment.

use std::ffi::OsString;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use zeroize::Zeroizing;

use super::error::ConfigError;
use super::names::{COMMAND_DEFAULTS, DEV_DEFAULTS, SETTINGS, Setting, takes};
use super::sources::{ConfigFile, Mode, Sources};

const DEFAULT: &str = "default";
const ENVIRONMENT: &str = "environment";
const FLAG: &str = "flag";

/// The values that were given, the strongest source first to be heard.
///
/// figment does not wipe what it held; a secret that must not stay in freed memory comes by its
/// `*_FILE` setting, which passes here as a path alone.
pub(crate) struct Layers {
    figment: Figment,
}

/// One source's values, under the settings' names in lower case.
struct Layer {
    origin: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

impl Layers {
    /// Merges all sources; an empty value is none.
    pub(crate) fn merge(sources: &Sources) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(defaults(sources.mode));
        if let Some(file) = &sources.file {
            figment = figment.merge(file_layer(file)?);
        }
        figment = figment.merge(environment_layer(&sources.environment)?);
        figment = figment.merge(flag_layer(&sources.flags));
        Ok(Self { figment })
    }

    /// The value of a setting as text, if it has one.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, ConfigError> {
        let Ok(value) = self.figment.find_value(&name.to_lowercase()) else {
            return Ok(None);
        };
        let text = match value {
            Value::String(_, text) => Some(text),
            Value::Bool(_, flag) => Some(flag.to_string()),
            Value::Num(_, number) => whole_number(number),
            Value::Char(..) | Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
        };
        text.map(|text| Some(Zeroizing::new(text))).ok_or_else(|| self.refuse(name))
    }

    /// The value of a setting, which must be there, read by `parse`.
    pub(crate) fn parse<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let text = self.text(name)?.unwrap_or_default();
        parse(&text).ok_or_else(|| self.refuse(name))
    }

    /// Whether the environment gave a setting.
    pub(crate) fn is_in_environment(&self, name: &str) -> bool {
        self.origin(name) == Some(ENVIRONMENT)
    }

    /// Whether a flag gave a setting.
    pub(crate) fn is_flag(&self, name: &str) -> bool {
        self.origin(name) == Some(FLAG)
    }

    /// Whether a setting was given, rather than left at its default.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.origin(name).is_some_and(|origin| origin != DEFAULT)
    }

    /// Whether a setting was given for this start, by the environment or a flag, and not by the file alone.
    pub(crate) fn is_given_now(&self, name: &str) -> bool {
        matches!(self.origin(name), Some(ENVIRONMENT | FLAG))
    }

    /// The setting as the one who set it knows it.
    pub(crate) fn blame(&self, name: &str) -> String {
        match self.origin(name) {
            None | Some(DEFAULT | ENVIRONMENT) => name.to_owned(),
            Some(FLAG) => format!("{} ({name})", flag_of(name)),
            Some(file) => format!("{} in {file}", name.to_lowercase()),
        }
    }

    /// The error of a value that is not what the setting takes.
    pub(crate) fn refuse(&self, name: &str) -> ConfigError {
        ConfigError::new(format!("{} takes {}", self.blame(name), takes(name)))
    }

    fn origin(&self, name: &str) -> Option<&str> {
        let metadata = self.figment.find_metadata(&name.to_lowercase())?;
        Some(metadata.name.as_ref())
    }
}

fn defaults(mode: Mode) -> Layer {
    let special = match mode {
        Mode::Serve => &[],
        Mode::Dev => DEV_DEFAULTS,
        Mode::Command => COMMAND_DEFAULTS,
    };
    let usual = SETTINGS.iter().map(|setting| (setting.name, setting.default));
    let values = usual.chain(special.iter().copied());
    Layer {
        origin: DEFAULT.to_owned(),
        values: dict(values.filter(|(_, value)| !value.is_empty())),
    }
}

fn file_layer(file: &ConfigFile) -> Result<Layer, ConfigError> {
    let name = &file.name;
    let parsed = Toml::string(&file.text).data().map_err(|error| {
        let place = toml_place(&error.to_string());
        ConfigError::new(format!("{name} is not valid TOML{place}"))
    })?;
    let mut values: Dict = parsed.into_values().flatten().collect();

    let is_known = |member: &str| SETTINGS.iter().any(|it| it.name.to_lowercase() == member);
    let unknown: Vec<&str> =
        values.keys().map(String::as_str).filter(|member| !is_known(member)).collect();
    if !unknown.is_empty() {
        return Err(ConfigError::new(format!(
            "{name} has members that are not known: {} (a member is the name of an environment \
             variable in lower case)",
            unknown.join(", ")
        )));
    }

    values.retain(|_, value| value.as_str() != Some(""));
    Ok(Layer { origin: name.clone(), values })
}

/// Where the file goes wrong. The rest of the message quotes the line, which may hold a secret.
fn toml_place(message: &str) -> String {
    let place = message.lines().next().and_then(|line| line.strip_prefix("TOML parse error"));
    let is_place =
        |place: &&str| place.chars().all(|it| it.is_ascii_alphanumeric() || " ,".contains(it));
    place.filter(is_place).unwrap_or_default().to_owned()
}

fn environment_layer(environment: &[(&'static str, OsString)]) -> Result<Layer, ConfigError> {
    let mut values = Vec::new();
    for Setting { name, .. } in SETTINGS {
        let Some((_, value)) = environment.iter().find(|(known, _)| known == name) else {
            continue;
        };
        let value = value.to_str();
        let value = value.ok_or_else(|| ConfigError::new(format!("{name} takes UTF-8 text")))?;
        if !value.is_empty() {
            values.push((*name, value));
        }
    }
    Ok(Layer { origin: ENVIRONMENT.to_owned(), values: dict(values) })
}

fn flag_layer(flags: &[(&'static str, String)]) -> Layer {
    let values = flags.iter().map(|(name, value)| (*name, value.as_str()));
    Layer { origin: FLAG.to_owned(), values: dict(values) }
}

fn dict<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Dict {
    values.into_iter().map(|(name, value)| (name.to_lowercase(), Value::from(value))).collect()
}

fn whole_number(number: figment::value::Num) -> Option<String> {
    number
        .to_i128()
        .map(|number| number.to_string())
        .or_else(|| number.to_u128().map(|number| number.to_string()))
}

fn flag_of(name: &str) -> &'static str {
    match name {
        "SERVER_HOST" => "--host",
        "SERVER_PORT" => "--port",
        "DB_PATH" => "--db",
        "LOG_LEVEL" => "--log-level",
        "LOG_FORMAT" => "--log-format",
        _ => "a flag",
    }
}
