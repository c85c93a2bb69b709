//! The command line: commands, and flags that each set what a variable sets. Secrets have no flag.
//!
//! A flag's value is text here; configuration reads it by the code that reads the variable's.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Mode;

/// Serves pooled API keys within their limits.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Settings are read from keypooler.toml (or --config FILE), then from the \
                  environment, then from flags. Secrets come by ADMIN_TOKEN or ADMIN_TOKEN_FILE, \
                  ENCRYPTION_KEY or ENCRYPTION_KEY_FILE, and DATABASE_AUTH_TOKEN or \
                  DATABASE_AUTH_TOKEN_FILE. DATABASE_URL names a libSQL database that several \
                  replicas may share, in place of a file."
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve; what is done where no command is given
    Serve(ServeFlags),
    /// Bring the database to this version's schema, taking over one of the Go program
    Migrate(MigrateFlags),
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// IP address to listen on [env: SERVER_HOST] [default: ::, both families]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// Port to listen on, 0 for any free one [env: SERVER_PORT] [default: 8080]
    #[arg(long)]
    pub(crate) port: Option<String>,
    /// Start even if the system clock is more than 24 hours behind the newest usage event
    #[arg(long)]
    pub(crate) accept_clock: bool,
    /// Try it out without any set-up: on 127.0.0.1, with ./data/dev.db, a made-up admin token and
    /// sample keys
    #[arg(long)]
    pub(crate) dev: bool,
}

/// Flags of `migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// Only tell the database's state and what would be done; changes nothing
    #[arg(long)]
    pub(crate) status: bool,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct SharedFlags {
    /// Configuration file [default: keypooler.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Database file [env: DB_PATH] [default: ./data/pool.db]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<String>,
    /// trace, debug, info, warn or error [env: LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// json or pretty [env: LOG_FORMAT] [default: json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

impl CommandLine {
    /// What to do; to serve where nothing was said.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

impl ServeFlags {
    /// Whether to serve for real.
    pub(crate) fn mode(&self) -> Mode {
        if self.dev { Mode::Dev } else { Mode::Serve }
    }

    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let own = given([("SERVER_HOST", &self.host), ("SERVER_PORT", &self.port)]);
        self.shared.settings().into_iter().chain(own).collect()
    }
}

impl SharedFlags {
    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("DB_PATH", &self.db),
            ("LOG_LEVEL", &self.log_level),
            ("LOG_FORMAT", &self.log_format),
        ];
        given(flags).collect()
    }
}

fn given<const N: usize>(
    flags: [(&'static str, &Option<String>); N],
) -> impl Iterator<Item = (&'static str, String)> {
    flags.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name, value)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn command(line: &[&str]) -> Result<Command, String> {
        let line = std::iter::once(&"keypooler").chain(line);
        CommandLine::try_parse_from(line)
            .map(CommandLine::into_command)
            .map_err(|it| it.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn serves_where_no_command_is_given() {
        for line in [&["--port", "1", "--dev"][..], &["serve", "--port", "1", "--dev"]] {
            let Ok(Command::Serve(flags)) = command(line) else { panic!("{line:?}") };
            assert_eq!(flags.settings(), [("SERVER_PORT", "1".to_owned())]);
            assert!(flags.dev && !flags.accept_clock);
        }
    }

    #[test]
    fn every_flag_sets_what_its_variable_sets() {
        let line =
            "--host a --port b --db c --log-level d --log-format e --config f --accept-clock";
        let line: Vec<&str> = line.split(' ').collect();
        let Ok(Command::Serve(flags)) = command(&line) else { panic!("{line:?}") };
        let expected = [
            ("DB_PATH", "c"),
            ("LOG_LEVEL", "d"),
            ("LOG_FORMAT", "e"),
            ("SERVER_HOST", "a"),
            ("SERVER_PORT", "b"),
        ];
        assert_eq!(flags.settings(), expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(flags.shared.config, Some(PathBuf::from("f")));
        assert!(flags.accept_clock);
    }

    #[test]
    fn migrates_and_tells_the_status() {
        let Ok(Command::Migrate(flags)) = command(&["migrate", "--db", "x", "--status"]) else {
            panic!("migrate is not read")
        };
        assert_eq!(flags.shared.settings(), [("DB_PATH", "x".to_owned())]);
        assert!(flags.status);
        assert!(command(&["migrate", "--port", "1"]).is_err());
    }

    #[test]
    fn secrets_have_no_flag_and_are_not_echoed() {
        for flag in ["--admin-token=hush", "--encryption-key=hush", "--token=hush"] {
            let refused = command(&[flag]).unwrap_err();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn help_names_defaults_and_variables() {
        let help = CommandLine::command().render_long_help().to_string();
        for name in ["SERVER_HOST", "SERVER_PORT", "DB_PATH", "LOG_LEVEL", "LOG_FORMAT", "8080"] {
            assert!(help.contains(name), "{help}");
        }
    }
}
