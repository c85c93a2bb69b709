//! `keypooler verify`: looks whether the pool is whole, and tells what is not as it should be.

use std::fmt;

use keypool_engine::{Check, Finding, Shape, Verified};
use serde::Serialize;

use crate::config::Settings;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::report::{self, Form};
use crate::values_told::Values;

/// Looks, and tells what was found.
pub(crate) async fn verify(settings: Settings, form: Form) -> anyhow::Result<Outcome> {
    let database = settings.database.to_string();
    let sealer = settings.encryption.sealer();
    let progress = Progress::start();
    let looks_at = |check| tell(&progress, check);
    let verified = keypool_engine::verify(settings.database, &sealer, looks_at).await?;
    drop(progress);
    let report = Report::of(database, verified);
    report::print(&report, form)?;
    Ok(if report.sound { Outcome::Done } else { Outcome::Amiss })
}

/// Tells a terminal what is looked at.
pub(crate) fn tell(progress: &Progress, check: Check) {
    progress.doing(format!("looking at {}", check.name().replace('_', " ")));
}

/// What is told.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    database: String,
    /// 0 where there is nothing yet; 1 is the Go program's.
    schema_version: u32,
    /// Whether nothing is amiss.
    pub(crate) sound: bool,
    keys: Option<i64>,
    consumers: Option<i64>,
    usage_events: Option<i64>,
    values: Values,
    findings: Vec<Told>,
    skipped: Vec<Told>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Told {
    check: &'static str,
    what: String,
}

impl From<Finding> for Told {
    fn from(finding: Finding) -> Self {
        Self { check: finding.check.name(), what: finding.what }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found:    {}: {}", self.check, self.what)
    }
}

impl Report {
    pub(crate) fn of(database: String, verified: Verified) -> Self {
        let schema_version = match verified.shape {
            Shape::Empty => 0,
            Shape::Version(version) => version,
        };
        let told = |found: Vec<Finding>| found.into_iter().map(Told::from).collect();
        Self {
            database,
            schema_version,
            sound: verified.findings.is_empty(),
            keys: verified.rows.map(|rows| rows.keys),
            consumers: verified.rows.map(|rows| rows.consumers),
            usage_events: verified.rows.map(|rows| rows.usage_events),
            values: verified.seals.into(),
            findings: told(verified.findings),
            skipped: told(verified.skipped),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, schema_version, values, .. } = self;
        writeln!(f, "database: {database}, schema version {schema_version}")?;
        if let (Some(keys), Some(consumers), Some(events)) =
            (self.keys, self.consumers, self.usage_events)
        {
            writeln!(f, "holds:    {keys} keys, {consumers} consumers, {events} usage events")?;
        }
        writeln!(f, "{values}")?;
        for Told { check, what } in &self.skipped {
            writeln!(f, "skipped:  {check}: {what}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.sound {
            writeln!(f, "found:    nothing amiss")?;
        }
        Ok(())
    }
}
