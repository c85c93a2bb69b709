//! The command line: commands, and flags that each set what a variable sets. Secrets have no flag.
//!
//! A flag's value is text here; configuration reads it by the code that reads the variable's.

mod database;
mod help;
mod keys;
mod serve;
mod shared;

use std::io;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::database::{
    BackupFlags, CopyFlags, MigrateFlags, PruneFlags, ResealFlags, RestoreFlags, VerifyFlags,
};
pub(crate) use self::keys::{ExportFlags, ImportFlags};
pub(crate) use self::serve::{HealthFlags, ServeFlags};
pub(crate) use self::shared::{GeneralFlags, SharedFlags};

/// Serves pooled API keys within their limits.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Settings are read from keypooler.toml (or --config FILE), then from the \
                  environment, then from flags. Secrets come by ADMIN_TOKEN or ADMIN_TOKEN_FILE, \
                  ENCRYPTION_KEY or ENCRYPTION_KEY_FILE, and DATABASE_AUTH_TOKEN or \
                  DATABASE_AUTH_TOKEN_FILE. DATABASE_URL names a libSQL database that several \
                  replicas may share, in place of a file.\n\nExit codes, of every command: 0 it is done; \
                  1 it failed; 2 the command line or the configuration is wrong, and nothing was done; \
                  3 it looked, and what it found is not as it should be."
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
    #[command(after_help = help::SERVING)]
    Serve(ServeFlags),
    /// Bring the database to this version's schema, taking over one of the Go program
    #[command(after_help = help::MIGRATING)]
    Migrate(MigrateFlags),
    /// Look whether the pool is whole: every page, counter, chain of usage events and sealed value
    #[command(after_help = help::VERIFYING)]
    Verify(VerifyFlags),
    /// Write the whole pool into one file, beside a server that runs
    #[command(after_help = help::BACKING_UP)]
    Backup(BackupFlags),
    /// Put a backup where the pool is, while no server runs on it
    #[command(after_help = help::RESTORING)]
    Restore(RestoreFlags),
    /// Write the pool's keys: to look at, or with their values to import elsewhere
    #[command(after_help = help::EXPORTING)]
    Export(ExportFlags),
    /// Add the keys of a file, all or none, beside a server that runs
    #[command(after_help = help::IMPORTING)]
    Import(ImportFlags),
    /// Take old usage events out of the pool, beside a server that runs; what they amount to stays
    #[command(after_help = help::PRUNING)]
    Prune(PruneFlags),
    /// Seal every value under the current encryption key, beside a server that runs
    #[command(after_help = help::RESEALING)]
    Reseal(ResealFlags),
    /// Copy a whole pool between SQLite files and libSQL databases, and compare the two
    #[command(after_help = help::COPYING)]
    Copy(CopyFlags),
    /// Ask the server on this machine how it is, as health checks do
    #[command(after_help = help::ASKING)]
    Health(HealthFlags),
    /// Print a new token that is fit to be an ADMIN_TOKEN, and nothing else
    #[command(after_help = help::TOKEN_HELP)]
    Token,
    /// Print a script by which a shell completes keypooler's commands and flags
    #[command(after_help = help::COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Manual {
        /// The folder
        folder: PathBuf,
    },
}

/// What a token is called in the URL of a database.
const TOKEN: &str = "authToken";

impl CommandLine {
    /// Reads what to do. Ends the process where help was asked for, or the line cannot be understood.
    ///
    /// # Errors
    /// The line cannot be understood, and to say how would repeat a token.
    pub(crate) fn read() -> Result<Command, &'static str> {
        Self::try_parse().map(Self::into_command).map_err(|error| {
            if !error.to_string().contains(TOKEN) {
                error.exit();
            }
            "the command line can't be understood, and holds an authToken, which process lists show: \
             set DATABASE_AUTH_TOKEN or DATABASE_AUTH_TOKEN_FILE instead"
        })
    }

    /// The script of a shell.
    pub(crate) fn completions(shell: Shell) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Self::command(), env!("CARGO_PKG_NAME"), &mut script);
        script
    }

    /// Writes a manual page for each command into a folder.
    pub(crate) fn write_manual(folder: &Path) -> io::Result<()> {
        clap_mangen::generate_to(Self::command(), folder)
    }

    /// What to do; to serve where nothing was said.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Form;

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
        assert_eq!(flags.shared.general.config, Some(PathBuf::from("f")));
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
    fn reseals_and_checks() {
        let Ok(Command::Reseal(flags)) = command(&["reseal", "--db", "x", "--check", "--json"])
        else {
            panic!("reseal is not read")
        };
        assert_eq!(flags.shared.settings(), [("DB_PATH", "x".to_owned())]);
        assert!(flags.check);
        assert_eq!(flags.report.form(), Form::Json);
    }

    #[test]
    fn copies_from_a_place_to_another() {
        let line = "copy --from a.db --to libsql://b --to-token-file c --log-format pretty";
        let line: Vec<&str> = line.split(' ').collect();
        let Ok(Command::Copy(flags)) = command(&line) else { panic!("copy is not read") };
        assert_eq!((flags.from().text, flags.from().token_file), ("a.db", None));
        let token_file = Some(Path::new("c"));
        assert_eq!((flags.to().text, flags.to().token_file), ("libsql://b", token_file));
        assert_eq!(flags.general.settings(), [("LOG_FORMAT", "pretty".to_owned())]);
        for line in [&["copy", "--from", "a"][..], &["copy", "--to", "b"], &["copy", "--db", "c"]] {
            assert!(command(line).is_err(), "{line:?}");
        }
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
