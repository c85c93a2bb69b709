//! `keypooler prune`: takes old usage events out of the pool, into an archive where that is asked for.

mod archive;
mod before;

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use keypool_engine::{Clock, PruneSettings, Timestamp, UsageView, times};
use serde::Serialize;

use self::archive::Archive;
use crate::config::{ConfigError, Settings};
use crate::flags::PruneFlags;
use crate::progress::Progress;
use crate::report;

impl PruneFlags {
    /// The moment that is named, as of now.
    pub(crate) fn moment(&self) -> Result<Timestamp, ConfigError> {
        before::parse(&self.before, Clock::System.now()).ok_or_else(|| {
            ConfigError::new(
                "--before takes a day (2026-01-31), a moment (2026-01-31T12:00:00Z) or an age in days (90d)",
            )
        })
    }
}

/// Prunes, and tells what went.
pub(crate) async fn prune(
    settings: Settings,
    before: Timestamp,
    flags: PruneFlags,
) -> anyhow::Result<()> {
    let database = settings.database.to_string();
    let archive = flags.archive.as_deref().map(Archive::open).transpose();
    let mut archive = archive.context("the archive can't be used; nothing was pruned")?;
    let settings = PruneSettings {
        store: settings.database.into(),
        before,
        clock: Clock::System,
        dry_run: flags.dry_run,
    };

    let progress = Progress::start();
    progress.doing("looking for usage events");
    let keep = |events: &[UsageView]| match &mut archive {
        Some(archive) => archive.keep(events).map_err(Into::into),
        None => Ok(()),
    };
    let tell = |done, of| progress.done("pruning usage events", done, of);
    let pruned = keypool_engine::prune(settings, keep, tell).await?;
    drop(progress);
    let report = Report {
        database,
        before: times::to_the_second(pruned.before),
        dry_run: flags.dry_run,
        events: pruned.events,
        first: pruned.first.map(times::to_the_millisecond),
        last: pruned.last.map(times::to_the_millisecond),
        archive: flags.archive,
    };
    report::print(&report, flags.report.form())
}

/// What is told.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    before: String,
    dry_run: bool,
    events: u64,
    first: Option<String>,
    last: Option<String>,
    archive: Option<PathBuf>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, before, dry_run, events, .. } = self;
        let done = if *dry_run { "would go from" } else { "went from" };
        write!(f, "{events} usage events before {before} {done} {database}")?;
        if let (Some(first), Some(last)) = (&self.first, &self.last) {
            write!(f, " ({first} to {last})")?;
        }
        match &self.archive {
            Some(archive) => writeln!(f, "; they are in {}", archive.display()),
            None => writeln!(f),
        }
    }
}
