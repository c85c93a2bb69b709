//! The command line: commands, and flags that each set what a variable sets. Secrets have no flag.
//!
//! A flag's value is text here; configuration reads it by the code that reads the variable's.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use keypool_http::Question;

use crate::config::{ConfigError, Mode, Place};
use crate::key_file::Format;

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
    /// Look whether the pool is whole: every page, counter, chain of usage events and sealed value
    #[command(after_help = VERIFYING)]
    Verify(VerifyFlags),
    /// Write the whole pool into one file, beside a server that runs
    #[command(after_help = BACKING_UP)]
    Backup(BackupFlags),
    /// Put a backup where the pool is, while no server runs on it
    #[command(after_help = RESTORING)]
    Restore(RestoreFlags),
    /// Write the pool's keys: to look at, or with their values to import elsewhere
    #[command(after_help = EXPORTING)]
    Export(ExportFlags),
    /// Add the keys of a file, all or none, beside a server that runs
    #[command(after_help = IMPORTING)]
    Import(ImportFlags),
    /// Take old usage events out of the pool, beside a server that runs; what they amount to stays
    #[command(after_help = PRUNING)]
    Prune(PruneFlags),
    /// Seal every value under the current encryption key, beside a server that runs
    #[command(after_help = RESEALING)]
    Reseal(ResealFlags),
    /// Copy a whole pool between SQLite files and libSQL databases, and compare the two
    #[command(after_help = COPYING)]
    Copy(CopyFlags),
    /// Ask the server on this machine how it is, as health checks do
    #[command(after_help = ASKING)]
    Health(HealthFlags),
    /// Print a new token that is fit to be an ADMIN_TOKEN, and nothing else
    #[command(after_help = TOKEN_HELP)]
    Token,
    /// Print a script by which a shell completes keypooler's commands and flags
    #[command(after_help = COMPLETIONS_HELP)]
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

const SERVING: &str = "Examples:\n  keypooler --dev\n  ADMIN_TOKEN_FILE=admin-token keypooler --db ./data/pool.db --port 8080";

const ASKING: &str = "It reads SERVER_HOST, SERVER_PORT, SERVER_SOCKET and TLS_CERT_FILE as the server does, takes any certificate, and waits for 4 \
    seconds. Exit code 0 is yes (the \
    answer is 200); 3 is no, or no answer.\n\nExamples:\n  keypooler health\n  keypooler health --ready --port 9090";

const TOKEN_HELP: &str = "256 random bits in the form of a consumer's token, so that scanners find one that leaked. It is kept nowhere.\n\n\
    Example:\n  (umask 077; keypooler token >admin-token)\n  ADMIN_TOKEN_FILE=admin-token keypooler";

const COMPLETIONS_HELP: &str = "Examples:\n  \
    keypooler completions bash >~/.local/share/bash-completion/completions/keypooler\n  \
    keypooler completions zsh >~/.zfunc/_keypooler    # with ~/.zfunc in fpath\n  \
    keypooler completions fish >~/.config/fish/completions/keypooler.fish";

const MIGRATING: &str =
    "Examples:\n  keypooler migrate --status\n  keypooler migrate --db ./data/pool.db";

const VERIFYING: &str = "It reads only, and may run beside a server. Exit code 3: it found something amiss, and tells what.\n\n\
    Examples:\n  keypooler verify\n  keypooler verify --db ./copy.db --json";

const BACKING_UP: &str = "The backup holds all that was committed before it began, is readable by its owner alone (values that are plain in the \
    pool are plain in it), and is there whole or not at all. A name that is taken is refused. Of a libSQL database no server \
    may be running while it is copied.\n\n\
    Example:\n  keypooler backup /var/backups/pool-$(date +%F-%H%M%S).db";

const RESTORING: &str = "The backup is looked at first, as by `keypooler verify`: exit code 3 says that it is not as it should be, and that \
    nothing was changed. Grants that were made after it are not in it: budgets and rate limits go on from where it stands.\n\n\
    Examples:\n  keypooler restore ./pool-2026-01-31.db --db ./data/pool.db\n  \
    keypooler restore ./pool-2026-01-31.db --replace    # what is there is kept as pool.db.before-restore";

const EXPORTING: &str = "With --with-values the list holds every value and secret in clear, and can be imported; keys that cannot be used (inactive, \
    expired, damaged) are left out of it. A file is written with mode 0600, and not over another.\n\n\
    Examples:\n  keypooler export\n  keypooler export --with-values --output ./keys.json\n  \
    keypooler export --format csv --tier firecrawl";

const IMPORTING: &str = "A key whose value the pool has already is passed over, so that an import can be repeated. Where one key cannot be added, none \
    is: exit code 3, and the report says which and why. A running server has the keys when the command ends.\n\n\
    Examples:\n  keypooler import ./keys.json --dry-run\n  keypooler import ./keys.csv --tier firecrawl\n  \
    keypooler import --format env --tier openai - <.env";

const PRUNING: &str = "A TIME is a day (2026-01-31), a moment (RFC 3339) or an age in days (90d), and means the beginning of that day in UTC. \
    Events of a window that is open stay: a TIME inside one is refused. So does the newest event of all. Cut off, it goes on \
    where it was when it is called again, with the same archive. The archive is gzip of one JSON object a line; it is \
    added to, and each event is in it once.\n\n\
    Examples:\n  keypooler prune --before 90d --dry-run\n  \
    keypooler prune --before 90d --archive /var/backups/keypooler/usage-$(date +%Y).jsonl.gz";
const RESEALING: &str = "Plain values, those under ENCRYPTION_KEY_PREVIOUS and those in the Go program's form get a seal under \
    ENCRYPTION_KEY. A server on the database has to run with the same ENCRYPTION_KEY and ENCRYPTION_KEY_PREVIOUS. Cut \
    off, it goes on where it was when it is called again. Exit code 3 says that not every value is sealed under \
    ENCRYPTION_KEY, or that a copy with plain values (of a takeover or a restore) lies beside.\n\n\
    Examples:\n  ENCRYPTION_KEY_FILE=new ENCRYPTION_KEY_PREVIOUS_FILE=old keypooler reseal\n  keypooler reseal --check";

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

/// Flags of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// The file to write
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Restore where a database is, too; that one is kept beside under another name
    #[arg(long)]
    pub(crate) replace: bool,
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

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
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// Events older than this go
    #[arg(long, value_name = "TIME")]
    pub(crate) before: String,
    /// File that each event is added to before it goes
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) archive: Option<PathBuf>,
    /// Only tell what would go; changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `reseal`.
#[derive(Debug, Args)]
pub(crate) struct ResealFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// Only tell how the values are sealed; changes nothing
    #[arg(long)]
    pub(crate) check: bool,
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

/// Flags of `health`.
#[derive(Debug, Args)]
pub(crate) struct HealthFlags {
    #[command(flatten)]
    pub(crate) general: GeneralFlags,
    /// IP address that the server listens on [env: SERVER_HOST] [default: ::, both families]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port that the server listens on [env: SERVER_PORT] [default: 8080]
    #[arg(long)]
    port: Option<String>,
    /// Ask whether it could record a draw (/ready), not just whether it answers (/health)
    #[arg(long)]
    pub(crate) ready: bool,
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

    /// Writes a manual page for each command into a folder.
    pub(crate) fn write_manual(folder: &Path) -> io::Result<()> {
        clap_mangen::generate_to(Self::command(), folder)
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

impl HealthFlags {
    /// What is asked.
    pub(crate) fn question(&self) -> Question {
        if self.ready { Question::Ready } else { Question::Health }
    }

    /// The settings that were given, by their variables' names.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let own = given([("SERVER_HOST", &self.host), ("SERVER_PORT", &self.port)]);
        self.general.settings().into_iter().chain(own).collect()
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
    fn reseals_and_checks() {
        let Ok(Command::Reseal(flags)) = command(&["reseal", "--db", "x", "--check", "--json"])
        else {
            panic!("reseal is not read")
        };
        assert_eq!(flags.shared.settings(), [("DB_PATH", "x".to_owned())]);
        assert!(flags.check && flags.json);
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
