//! Flags of the commands that are about a database as a whole.

use std::path::PathBuf;

use clap::Args;

use super::shared::{GeneralFlags, ReportFlags, SharedFlags};
use crate::config::Place;

/// Flags of `migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// Only tell the database's state and what would be done; changes nothing
    #[arg(long)]
    pub(crate) status: bool,
    #[command(flatten)]
    pub(crate) report: ReportFlags,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    #[command(flatten)]
    pub(crate) report: ReportFlags,
}

/// Flags of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// The file to write
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) report: ReportFlags,
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
    #[command(flatten)]
    pub(crate) report: ReportFlags,
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
    #[command(flatten)]
    pub(crate) report: ReportFlags,
}

/// Flags of `reseal`.
#[derive(Debug, Args)]
pub(crate) struct ResealFlags {
    #[command(flatten)]
    pub(crate) shared: SharedFlags,
    /// Only tell how the values are sealed; changes nothing
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) report: ReportFlags,
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
    #[command(flatten)]
    pub(crate) report: ReportFlags,
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
