//! The keypooler server: reads its configuration, opens the pool, serves it, drains.

mod config;
mod dev;
mod flags;
mod limits;
mod listener;
mod logging;
mod migrate;
mod serve;
mod signals;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use config::{ConfigError, ConfigFile, Mode, Settings, Sources, environment};
use flags::{Command, CommandLine};

/// Something that was asked for could not be done.
const FAILED: u8 = 1;
/// The configuration is wrong; nothing was done.
const MISCONFIGURED: u8 = 2;

fn main() -> ExitCode {
    limits::forbid_core_dumps();
    limits::raise_open_files();
    let command = CommandLine::parse().into_command();
    let settings = match read_settings(&command) {
        Ok(settings) => settings,
        Err(error) => return complain(&error, MISCONFIGURED),
    };

    logging::start(settings.log);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }

    match run(&command, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            complain(&format!("{error:#}"), FAILED)
        }
    }
}

#[tokio::main]
async fn run(command: &Command, settings: Settings) -> anyhow::Result<()> {
    match command {
        Command::Serve(flags) => serve::serve(settings, flags.accept_clock, flags.mode()).await,
        Command::Migrate(flags) if flags.status => migrate::status(&settings).await,
        Command::Migrate(_) => migrate::migrate(settings).await,
    }
}

fn read_settings(command: &Command) -> Result<Settings, ConfigError> {
    let (shared, flags, mode) = match command {
        Command::Serve(flags) => (&flags.shared, flags.settings(), flags.mode()),
        Command::Migrate(flags) => (&flags.shared, flags.shared.settings(), Mode::Migrate),
    };
    Settings::read(&Sources {
        file: ConfigFile::read(shared.config.as_deref())?,
        environment: environment(),
        flags,
        mode,
    })
}

/// Says on standard error, in one line, what is wrong.
fn complain(error: &impl Display, code: u8) -> ExitCode {
    let line = error.to_string().replace(['\n', '\r'], " ");
    // Where nobody listens the exit code still tells.
    let _ = writeln!(io::stderr(), "keypooler: {line}");
    ExitCode::from(code)
}
