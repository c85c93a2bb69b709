//! Everything that one page tells, as it was read at one moment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keypool_engine::meters::Metrics;
use keypool_engine::{Counts, FileFigures, Vitals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::families::*;
use super::format::Format;
use super::sheet::Sheet;
use super::{pool, process, seconds, work};
use crate::answer::App;
use crate::meters::HttpMetrics;

/// The longest that a page waits for the size of the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was read.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) metrics: Metrics,
    pub(super) counts: Counts,
    pub(super) vitals: Vitals,
    pub(super) file: Option<FileFigures>,
    pub(super) is_ready: bool,
    pub(super) http: HttpMetrics,
}

impl Scrape {
    /// Reads everything as memory has it: a database that does not answer is no reason to say nothing.
    pub(super) async fn take(app: &App) -> Self {
        let (file, readiness, counts) = tokio::join!(
            tokio::time::timeout(PATIENCE, app.engine.file_figures()),
            app.engine.ready(),
            app.engine.counts(),
        );
        Self {
            counts,
            file: file.ok().and_then(Result::ok).flatten(),
            is_ready: readiness.is_ok() && !app.is_draining(),
            metrics: app.engine.metrics(),
            vitals: app.engine.vitals(),
            http: app.metrics(),
        }
    }

    /// The page. It is long where tiers and features are many: not for a thread that others wait for.
    pub(super) fn write(self: Arc<Self>, format: Format) -> Bytes {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let page = format.write(&registry).expect("a text grows in memory");
        page.into()
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::new(encoder);
        work::write_draws(&mut sheet, &self.metrics)?;
        sheet.gauge(&QUEUED_DRAWS, Some(self.vitals.queued_draws))?;
        sheet.gauge(&QUEUED_CHANGES, Some(self.vitals.queued_changes))?;
        work::write_changes(&mut sheet, &self.metrics)?;
        work::write_replicas(&mut sheet, &self.metrics)?;
        pool::write(&mut sheet, &self.counts)?;
        work::write_http(&mut sheet, &self.http)?;
        self.write_database(&mut sheet)?;
        self.write_server(&mut sheet)?;
        process::write(&mut sheet)
    }
}

impl Scrape {
    fn write_database(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let Self { vitals, file, .. } = self;
        sheet.begin(&DATABASE)?.info(&[vitals.driver])?;
        sheet.gauge(&SCHEMA_VERSION, Some(vitals.schema_version))?;
        sheet.gauge(&FILE_SIZE, file.map(|file| file.file_bytes))?;
        sheet.gauge(&JOURNAL_SIZE, file.map(|file| file.journal_bytes))?;
        sheet.gauge(&FREE_SIZE, file.map(|file| file.free_bytes))?;
        sheet.gauge(&LAST_COMMIT, vitals.last_commit_at.map(seconds))?;
        sheet.gauge(&MEMORY_AGE, vitals.memory_age.map(|age| age.as_secs_f64()))
    }

    fn write_server(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let vitals = &self.vitals;
        sheet.gauge(&READY, Some(u32::from(self.is_ready)))?;
        sheet.begin(&BUILD)?.info(&[env!("CARGO_PKG_VERSION")])?;
        sheet.gauge(&UPTIME, Some(vitals.uptime.as_secs_f64()))?;
        let offset_secs =
            Duration::from_millis(vitals.clock_offset_ms.unsigned_abs()).as_secs_f64();
        let offset_secs = if vitals.clock_offset_ms < 0 { -offset_secs } else { offset_secs };
        sheet.gauge(&CLOCK_OFFSET, Some(offset_secs))?;
        sheet.gauge(&CLOCK_AHEAD, Some(vitals.clock_ahead.unwrap_or_default().as_secs_f64()))
    }
}
