//! Flags that several commands have.

use std::path::PathBuf;

use clap::Args;

use crate::report::Form;

/// Flags of every command that is about one database.
#[derive(Debug, Args)]
pub(crate) struct SharedFlags {
    #[command(flatten)]
    pub(crate) general: GeneralFlags,
    /// Database file [env: DB_PATH] [default: ./data/pool.db]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<String>,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct GeneralFlags {
    /// Configuration file [default: keypooler.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// trace, debug, info, warn or error [env: LOG_LEVEL] [default: info; warn for a command that ends by itself]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// json or pretty [env: LOG_FORMAT] [default: json; pretty for a command that ends by itself]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// Flags of every command that reports, but of `export`, which reports only where the keys go to a file.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReportFlags {
    /// Report as one JSON object
    #[arg(long)]
    json: bool,
}

impl SharedFlags {
    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        given([("DB_PATH", &self.db)]).chain(self.general.settings()).collect()
    }
}

impl GeneralFlags {
    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        given([("LOG_LEVEL", &self.log_level), ("LOG_FORMAT", &self.log_format)]).collect()
    }
}

/// Those that were given.
pub(super) fn given<const N: usize>(
    flags: [(&'static str, &Option<String>); N],
) -> impl Iterator<Item = (&'static str, String)> {
    flags.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name, value)))
}

impl ReportFlags {
    /// The form that is asked for.
    pub(crate) fn form(self) -> Form {
        Form::of(self.json)
    }
}
