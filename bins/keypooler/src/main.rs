//! The keypooler server: reads its configuration, opens the pool, serves it, drains.

mod backup;
mod config;
mod copy;
mod dev;
mod exit;
mod export;
mod flags;
mod health;
mod import;
mod key_file;
mod limits;
mod listener;
mod logging;
mod migrate;
mod progress;
mod prune;
mod reload;
mod report;
mod reseal;
mod restore;
mod serve;
mod signals;
mod supervisor;
mod token;
mod values_told;
mod verify;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap_complete::Shell;
use keypool_engine::Timestamp;

use config::{
    ConfigError, ConfigFile, CopySettings, Mode, Reached, Settings, Sources, environment,
};
use exit::Outcome;
use flags::{
    BackupFlags, Command, CommandLine, CopyFlags, ExportFlags, GeneralFlags, HealthFlags,
    ImportFlags, MigrateFlags, PruneFlags, ResealFlags, RestoreFlags, ServeFlags, SharedFlags,
};
use listener::Activated;
use logging::LogTo;
use report::Form;

/// What a supervisor handed over to listen on.
type HandedOver = io::Result<Vec<Activated>>;

/// What is to be done, with the settings for it.
enum Task {
    Serve(Box<Settings>, ServeFlags),
    Migrate(Box<Settings>, MigrateFlags),
    Verify(Box<Settings>, Form),
    Backup(Box<Settings>, BackupFlags),
    Restore(Box<Settings>, RestoreFlags),
    Export(Box<Settings>, ExportFlags),
    Import(Box<Settings>, ImportFlags),
    Prune(Box<Settings>, Timestamp, PruneFlags),
    Reseal(Box<Settings>, ResealFlags),
    Copy(CopySettings, Form),
    Health(Reached, HealthFlags),
    Token,
    Completions(Shell),
    Manual(PathBuf),
}

fn main() -> ExitCode {
    limits::forbid_core_dumps();
    limits::raise_open_files();
    let handed_over = listener::take_handed_over();
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
    match run(task, handed_over) {
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
async fn run(task: Task, handed_over: HandedOver) -> anyhow::Result<Outcome> {
    if matches!(task, Task::Serve(..)) {
        return Box::pin(carry_out(task, handed_over)).await;
    }
    // What is dropped halfway takes its unfinished files with it.
    tokio::select! {
        outcome = Box::pin(carry_out(task, handed_over)) => outcome,
        name = signals::interruption() => bail!("ended by {}", name?),
    }
}

async fn carry_out(task: Task, handed_over: HandedOver) -> anyhow::Result<Outcome> {
    match task {
        Task::Serve(settings, flags) => {
            let activated =
                handed_over.context("LISTEN_FDS: what was handed over can't be used")?;
            serve::serve(*settings, activated, flags.accept_clock, flags.mode()).await?;
        }
        Task::Migrate(settings, flags) => return migrate::migrate(*settings, &flags).await,
        Task::Verify(settings, form) => return verify::verify(*settings, form).await,
        Task::Backup(settings, flags) => backup::backup(*settings, &flags).await?,
        Task::Restore(settings, flags) => return restore::restore(*settings, flags).await,
        Task::Export(settings, flags) => return export::export(*settings, &flags).await,
        Task::Import(settings, flags) => return Box::pin(import::import(*settings, &flags)).await,
        Task::Prune(settings, before, flags) => prune::prune(*settings, before, flags).await?,
        Task::Reseal(settings, flags) => return reseal::reseal(*settings, &flags).await,
        Task::Copy(settings, form) => copy::copy(settings, form).await?,
        Task::Health(server, flags) => {
            return health::health(server, flags.question(), flags.report.form()).await;
        }
        Task::Token => token::token()?,
        Task::Completions(shell) => {
            let script = CommandLine::completions(shell);
            report::write(&script).context("the script could not be written to standard output")?;
        }
        Task::Manual(folder) => {
            CommandLine::write_manual(&folder).context("the manual could not be written")?;
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
            Command::Verify(flags) => Self::Verify(settings(&flags.shared)?, flags.report.form()),
            Command::Backup(flags) => Self::Backup(settings(&flags.shared)?, flags),
            Command::Restore(flags) => Self::Restore(settings(&flags.shared)?, flags),
            Command::Export(flags) => {
                flags.check()?;
                Self::Export(settings(&flags.shared)?, flags)
            }
            Command::Import(flags) => {
                flags.check()?;
                Self::Import(settings(&flags.shared)?, flags)
            }
            Command::Prune(flags) => {
                let before = flags.moment()?;
                Self::Prune(settings(&flags.shared)?, before, flags)
            }
            Command::Reseal(flags) => {
                let settings = reseal::settings(*settings(&flags.shared)?)?;
                Self::Reseal(Box::new(settings), flags)
            }
            Command::Copy(flags) => Self::Copy(read_copy(&flags)?, flags.report.form()),
            Command::Health(flags) => {
                let sources = sources(&flags.general, flags.settings(), Mode::Command)?;
                Self::Health(Reached::read(&sources)?, flags)
            }
            Command::Token => Self::Token,
            Command::Completions { shell } => Self::Completions(shell),
            Command::Manual { folder } => Self::Manual(folder),
        })
    }

    fn start_logging(&self) {
        let (log, warnings) = match self {
            Self::Serve(settings, _)
            | Self::Migrate(settings, _)
            | Self::Verify(settings, _)
            | Self::Backup(settings, _)
            | Self::Export(settings, _)
            | Self::Import(settings, _)
            | Self::Prune(settings, ..)
            | Self::Reseal(settings, _)
            | Self::Restore(settings, _) => (settings.log, settings.warnings.as_slice()),
            Self::Copy(settings, _) => (settings.log, [].as_slice()),
            Self::Health(..) | Self::Token | Self::Completions(_) | Self::Manual(_) => return,
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
