//! The command line: commands, and flags that each set what a variable sets. Secrets have no flag.
//!
//! A flag's value is text here; configuration reads it by the code that reads the variable's.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{Mode, Place};

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
    #[command(after_help = SERVING)]
    Serve(ServeFlags),
    /// Bring the database to this version's schema, taking over one of the Go program
    #[command(after_help = MIGRATING)]
    Migrate(MigrateFlags),
    /// Copy a whole pool between SQLite files and libSQL databases, and compare the two
    #[command(after_help = COPYING)]
    Copy(CopyFlags),
    /// Print a new token that is fit to be an ADMIN_TOKEN, and nothing else
    #[command(after_help = TOKEN_HELP)]
    Token,
    /// Print a script by which a shell completes keypooler's commands and flags
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const SERVING: &str = "Examples:\n  keypooler --dev\n  ADMIN_TOKEN_FILE=admin-token keypooler --db ./data/pool.db --port 8080";

const TOKEN_HELP: &str = "256 random bits in the form of a consumer's token, so that scanners find one that leaked. It is kept nowhere.\n\n\
    Example:\n  (umask 077; keypooler token >admin-token)\n  ADMIN_TOKEN_FILE=admin-token keypooler";

const COMPLETIONS_HELP: &str = "Examples:\n  \
    keypooler completions bash >~/.local/share/bash-completion/completions/keypooler\n  \
    keypooler completions zsh >~/.zfunc/_keypooler    # with ~/.zfunc in fpath\n  \
    keypooler completions fish >~/.config/fish/completions/keypooler.fish";

const MIGRATING: &str =
    "Examples:\n  keypooler migrate --status\n  keypooler migrate --db ./data/pool.db";

const COPYING: &str = "A PLACE is the path of a SQLite file, or a URL (libsql://HOST, https://HOST, http://127.0.0.1:PORT). \
    Stop every server on the source first. It is only read; the destination has to be empty, or to hold a copy that was \
    not finished, which is begun anew. The token of a database server comes by DATABASE_AUTH_TOKEN or \
    DATABASE_AUTH_TOKEN_FILE, never by the URL.\n\n\
    Example:\n  keypooler copy --from ./data/pool.db --to libsql://HOST --to-token-file ./token";

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
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `copy`.
#[derive(Debug, Args)]
pub(crate) struct CopyFlags {
    #[command(flatten)]
    pub(crate) general: GeneralFlags,
    /// Where the pool is
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// Where it is to be
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// File that holds the token for --from [default: DATABASE_AUTH_TOKEN, DATABASE_AUTH_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    from_token_file: Option<PathBuf>,
    /// File that holds the token for --to [default: DATABASE_AUTH_TOKEN, DATABASE_AUTH_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    to_token_file: Option<PathBuf>,
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

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

impl CopyFlags {
    /// Where the pool is.
    pub(crate) fn from(&self) -> Place<'_> {
        let token_file = self.from_token_file.as_deref();
        Place { flag: "--from", text: &self.from, token_flag: "--from-token-file", token_file }
    }

    /// Where it is to be.
    pub(crate) fn to(&self) -> Place<'_> {
        let token_file = self.to_token_file.as_deref();
        Place { flag: "--to", text: &self.to, token_flag: "--to-token-file", token_file }
    }
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

fn given<const N: usize>(
    flags: [(&'static str, &Option<String>); N],
) -> impl Iterator<Item = (&'static str, String)> {
    flags.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name, value)))
}

#[cfg(test)]
mod tests {
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
    fn copies_from_a_place_to_another() {
        let line = "copy --from a.db --to libsql://b --to-token-file c --log-format pretty";
        let line: Vec<&str> = line.split(' ').collect();
        let Ok(Command::Copy(flags)) = command(&line) else { panic!("copy is not read") };
        assert_eq!((flags.from().text, flags.from().token_file), ("a.db", None));
        let token_file = Some(std::path::Path::new("c"));
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
