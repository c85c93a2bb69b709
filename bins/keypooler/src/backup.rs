//! `keypooler backup`: writes the whole pool into one file.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::Settings;
use crate::copy;
use crate::flags::BackupFlags;
use crate::progress::Progress;
use crate::report;

/// Writes the backup, and tells of it.
pub(crate) async fn backup(settings: Settings, flags: &BackupFlags) -> anyhow::Result<()> {
    let database = settings.database.to_string();
    let progress = Progress::start();
    progress.doing("writing the backup");
    let copying = |at| copy::tell(&progress, at);
    let backup = keypool_engine::backup(settings.database, &flags.file, copying).await?;
    drop(progress);
    let report = BackedUp {
        database,
        backup: flags.file.clone(),
        bytes: backup.bytes,
        schema_version: backup.schema_version,
    };
    report::print(&report, flags.report.form())
}

#[derive(Debug, Serialize)]
struct BackedUp {
    database: String,
    backup: PathBuf,
    bytes: u64,
    schema_version: u32,
}

impl fmt::Display for BackedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, backup, bytes, .. } = self;
        writeln!(f, "backed {database} up to {} ({bytes} bytes)", backup.display())
    }
}
