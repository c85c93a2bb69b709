//! The keypooler server: reads its configuration, opens the pool, serves it, drains.

mod config;
mod copy;
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

use config::{ConfigError, ConfigFile, CopySettings, Mode, Settings, Sources, environment};
use flags::{Command, CommandLine, CopyFlags, GeneralFlags, MigrateFlags, ServeFlags};

/// Something that was asked for could not be done.
const FAILED: u8 = 1;
/// The configuration is wrong; nothing was done.
const MISCONFIGURED: u8 = 2;

/// What is to be done, with the settings for it.
enum Task {
    Serve(Box<Settings>, ServeFlags),
    Migrate(Box<Settings>, MigrateFlags),
    Copy(CopySettings),
}

fn main() -> ExitCode {
    limits::forbid_core_dumps();
    limits::raise_open_files();
    let command = match CommandLine::read() {
        Ok(command) => command,
        Err(error) => return complain(&error, MISCONFIGURED),
    };
    let task = match Task::read(command) {
        Ok(task) => task,
        Err(error) => return complain(&error, MISCONFIGURED),
    };

    task.start_logging();
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            complain(&format!("{error:#}"), FAILED)
        }
    }
}

#[tokio::main]
async fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Serve(settings, flags) => {
            serve::serve(*settings, flags.accept_clock, flags.mode()).await
        }
        Task::Migrate(settings, flags) if flags.status => migrate::status(&settings).await,
        Task::Migrate(settings, _) => migrate::migrate(*settings).await,
        Task::Copy(settings) => copy::copy(settings).await,
    }
}

impl Task {
    fn read(command: Command) -> Result<Self, ConfigError> {
        match command {
            Command::Serve(flags) => {
                let given = flags.settings();
                let settings =
                    Settings::read(&sources(&flags.shared.general, given, flags.mode())?)?;
                Ok(Self::Serve(Box::new(settings), flags))
            }
            Command::Migrate(flags) => {
                let given = flags.shared.settings();
                let settings =
                    Settings::read(&sources(&flags.shared.general, given, Mode::Migrate)?)?;
                Ok(Self::Migrate(Box::new(settings), flags))
            }
            Command::Copy(flags) => read_copy(&flags).map(Self::Copy),
        }
    }

    fn start_logging(&self) {
        let (log, warnings) = match self {
            Self::Serve(settings, _) | Self::Migrate(settings, _) => {
                (settings.log, settings.warnings.as_slice())
            }
            Self::Copy(settings) => (settings.log, [].as_slice()),
        };
        logging::start(log);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }
}

fn read_copy(flags: &CopyFlags) -> Result<CopySettings, ConfigError> {
    let sources = sources(&flags.general, flags.general.settings(), Mode::Copy)?;
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

/// Says on standard error, in one line, what is wrong.
fn complain(error: &impl Display, code: u8) -> ExitCode {
    let line = error.to_string().replace(['\n', '\r'], " ");
    // Where nobody listens the exit code still tells.
    let _ = writeln!(io::stderr(), "keypooler: {line}");
    ExitCode::from(code)
}
