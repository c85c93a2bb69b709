//! The keypooler server: reads its configuration, opens the pool, serves it, drains.

mod config;
mod copy;
mod dev;
mod exit;
mod flags;
mod limits;
mod listener;
mod logging;
mod migrate;
mod report;
mod serve;
mod signals;
mod token;

use std::process::ExitCode;

use anyhow::Context;
use clap_complete::Shell;

use config::{ConfigError, ConfigFile, CopySettings, Mode, Settings, Sources, environment};
use exit::Outcome;
use flags::{Command, CommandLine, CopyFlags, GeneralFlags, MigrateFlags, ServeFlags, SharedFlags};
use logging::LogTo;
use report::Form;

/// What is to be done, with the settings for it.
enum Task {
    Serve(Box<Settings>, ServeFlags),
    Migrate(Box<Settings>, MigrateFlags),
    Copy(CopySettings, Form),
    Token,
    Completions(Shell),
}

fn main() -> ExitCode {
    limits::forbid_core_dumps();
    limits::raise_open_files();
    let command = match CommandLine::read() {
        Ok(command) => command,
        Err(error) => return exit::misused(&error),
    };
    let task = match Task::read(command) {
        Ok(task) => task,
        Err(error) => return exit::misused(&error),
    };

    task.start_logging();
    let serves = matches!(task, Task::Serve(..));
    match run(task) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            if serves {
                tracing::error!("{error:#}");
            }
            exit::failed(&format!("{error:#}"))
        }
    }
}

#[tokio::main]
async fn run(task: Task) -> anyhow::Result<Outcome> {
    match task {
        Task::Serve(settings, flags) => {
            serve::serve(*settings, flags.accept_clock, flags.mode()).await?;
        }
        Task::Migrate(settings, flags) => return migrate::migrate(*settings, &flags).await,
        Task::Copy(settings, form) => copy::copy(settings, form).await?,
        Task::Token => token::token()?,
        Task::Completions(shell) => {
            let script = CommandLine::completions(shell);
            report::write(&script).context("the script could not be written to standard output")?;
        }
    }
    Ok(Outcome::Done)
}

impl Task {
    fn read(command: Command) -> Result<Self, ConfigError> {
        Ok(match command {
            Command::Serve(flags) => {
                let given = flags.settings();
                let sources = sources(&flags.shared.general, given, flags.mode())?;
                Self::Serve(Box::new(Settings::read(&sources)?), flags)
            }
            Command::Migrate(flags) => Self::Migrate(settings(&flags.shared)?, flags),
            Command::Copy(flags) => Self::Copy(read_copy(&flags)?, Form::of(flags.json)),
            Command::Token => Self::Token,
            Command::Completions { shell } => Self::Completions(shell),
        })
    }

    fn start_logging(&self) {
        let (log, warnings) = match self {
            Self::Serve(settings, _) | Self::Migrate(settings, _) => {
                (settings.log, settings.warnings.as_slice())
            }
            Self::Copy(settings, _) => (settings.log, [].as_slice()),
            Self::Token | Self::Completions(_) => return,
        };
        // What a command says on standard output is its report.
        let to = if matches!(self, Self::Serve(..)) { LogTo::Output } else { LogTo::Error };
        logging::start(log, to);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }
}

/// Settings of a command about one database.
fn settings(flags: &SharedFlags) -> Result<Box<Settings>, ConfigError> {
    let sources = sources(&flags.general, flags.settings(), Mode::Command)?;
    Settings::read(&sources).map(Box::new)
}

fn read_copy(flags: &CopyFlags) -> Result<CopySettings, ConfigError> {
    let sources = sources(&flags.general, flags.general.settings(), Mode::Command)?;
    CopySettings::read(&sources, &flags.from(), &flags.to())
}

fn sources(
    general: &GeneralFlags,
    flags: Vec<(&'static str, String)>,
    mode: Mode,
) -> Result<Sources, ConfigError> {
    let file = ConfigFile::read(general.config.as_deref())?;
    Ok(Sources { file, environment: environment(), flags, mode })
}
