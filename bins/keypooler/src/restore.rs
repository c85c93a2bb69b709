//! `keypooler restore`: puts a backup where the pool is.

use std::fmt;
use std::path::PathBuf;

use keypool_engine::{Existing, RestoreError, RestoreSettings, RestoreStep, Shape};
use serde::Serialize;

use crate::config::Settings;
use crate::exit::Outcome;
use crate::flags::RestoreFlags;
use crate::progress::Progress;
use crate::report;
use crate::{copy, verify};

/// Restores the backup, and tells of it; or tells what is amiss with it.
pub(crate) async fn restore(settings: Settings, flags: RestoreFlags) -> anyhow::Result<Outcome> {
    let form = flags.report.form();
    let database = settings.database.to_string();
    let sealer = settings.encryption.sealer();
    let existing = if flags.replace { Existing::KeepAside } else { Existing::Refuse };
    let backup = flags.file.clone();
    let to = RestoreSettings { backup: flags.file, to: settings.database.into(), existing };

    let progress = Progress::start();
    let step = |step: RestoreStep| match step {
        RestoreStep::Check(check) => verify::tell(&progress, check),
        RestoreStep::Copy(at) => copy::tell(&progress, at),
        RestoreStep::Put => progress.doing("writing the database"),
    };
    let restored = keypool_engine::restore(to, &sealer, step).await;
    drop(progress);
    let restored = match restored {
        Ok(restored) => restored,
        Err(RestoreError::Unsound(found)) => {
            report::print(&verify::Report::of(backup.display().to_string(), *found), form)?;
            tracing::error!(
                "the backup can't be served as it is, and was not restored; nothing was changed"
            );
            return Ok(Outcome::Amiss);
        }
        Err(error) => return Err(error.into()),
    };
    let schema_version = match restored.backup.shape {
        Shape::Empty => 0,
        Shape::Version(version) => version,
    };
    let kept_aside = restored.kept_aside;
    let findings = restored.backup.findings.into_iter().map(verify::Told::from).collect();
    report::print(&Report { database, backup, schema_version, kept_aside, findings }, form)?;
    Ok(Outcome::Done)
}

#[derive(Debug, Serialize)]
struct Report {
    database: String,
    backup: PathBuf,
    schema_version: u32,
    kept_aside: Option<PathBuf>,
    /// What is not as it should be, but can be served.
    findings: Vec<verify::Told>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "restored {} to {}", self.backup.display(), self.database)?;
        if let Some(aside) = &self.kept_aside {
            writeln!(f, "what was there is kept as {}", aside.display())?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}
