//! Flags of the commands that are about lists of keys: `export` and `import`.

use std::path::PathBuf;

use clap::Args;

use super::shared::{ReportFlags, SharedFlags};
use crate::config::ConfigError;
use crate::key_file::Format;

/// Flags of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// The format [default: what the file's name says, or json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write every value and secret in clear
    #[arg(long)]
    pub(crate) with_values: bool,
    /// Only the keys of this tier
    #[arg(long, value_name = "NAME")]
    pub(crate) tier: Option<String>,
    /// With values, those of keys that are inactive or expired as well
    #[arg(long, requires = "with_values")]
    pub(crate) all: bool,
    /// Report as one JSON object, where the keys go to a file
    #[arg(long, requires = "output")]
    pub(crate) json: bool,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// The file of keys; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The format [default: what the file's name says, or json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The tier of keys that name none: in a CSV file without that cell, and in an env file
    #[arg(long, value_name = "NAME")]
    pub(crate) tier: Option<String>,
    /// Only tell what would become of each key; changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Add a key where another has its name, too
    #[arg(long)]
    pub(crate) allow_same_name: bool,
    #[command(flatten)]
    pub(crate) report: ReportFlags,
}

impl ExportFlags {
    /// Whether the flags go together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match (self.format(), self.with_values) {
            (Format::Env, false) => Err(ConfigError::new(
                "the env format is of names and values alone: ask for --with-values, or another --format",
            )),
            (Format::Env | Format::Csv | Format::Json, _) => Ok(()),
        }
    }

    /// The format that is asked for.
    pub(crate) fn format(&self) -> Format {
        let named = self.output.as_deref().and_then(Format::of);
        self.format.or(named).unwrap_or(Format::Json)
    }
}

impl ImportFlags {
    /// Whether the flags go together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match (self.format(), &self.tier) {
            (Format::Env, None) => {
                Err(ConfigError::new("the keys of an env file are of one tier: name it by --tier"))
            }
            (Format::Json, Some(_)) => {
                Err(ConfigError::new("the keys of a JSON file name their tiers: leave --tier out"))
            }
            (Format::Env | Format::Csv | Format::Json, _) => Ok(()),
        }
    }

    /// The format that is asked for.
    pub(crate) fn format(&self) -> Format {
        self.format.or(Format::of(&self.file)).unwrap_or(Format::Json)
    }
}
