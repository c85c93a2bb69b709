//! `keypooler copy`: moves a whole pool from one database to another, and tells how far it is.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use keypool_engine::{CopyProgress, CopyReport, CopyStep, copy_pool};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::CopySettings;
use crate::report::{self, Form};

/// How often a terminal is told how far it is, and how often a log.
const SECOND: Duration = Duration::from_secs(1);
const LOG_EVERY: u64 = 10;

/// Copies the pool, and prints what was copied.
pub(crate) async fn copy(settings: CopySettings, form: Form) -> anyhow::Result<()> {
    let (from, to) = (settings.from.to_string(), settings.to.to_string());
    let start = Instant::now();
    let latest = Cell::new(None);
    let mut copying =
        pin!(copy_pool(settings.from, settings.to, |progress| latest.set(Some(progress))));
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;
    let mut teller = Teller { is_terminal: io::stderr().is_terminal(), seconds: 0 };
    let report = loop {
        tokio::select! {
            biased;
            outcome = &mut copying => break outcome,
            _ = seconds.tick() => teller.tell(latest.get()),
        }
    };
    teller.end();
    report::print(&Copied::of(from, to, &report?, start.elapsed()), form)
}

/// Tells how far it is: a terminal in a line of its own, a log less often.
struct Teller {
    is_terminal: bool,
    seconds: u64,
}

impl Teller {
    fn tell(&mut self, progress: Option<CopyProgress>) {
        self.seconds += 1;
        let Some(progress) = progress else { return };
        let line = progress_line(progress);
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r{line}\u{1b}[K");
        } else if self.seconds.is_multiple_of(LOG_EVERY) {
            tracing::info!("{line}");
        }
    }

    /// Leaves the terminal's line as it was.
    fn end(&self) {
        if self.is_terminal && self.seconds > 0 {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn progress_line(progress: CopyProgress) -> String {
    let CopyProgress { step, table, rows, of } = progress;
    let done = match step {
        CopyStep::Copy => "copied",
        CopyStep::Compare => "compared",
    };
    let percent = rows.saturating_mul(100).checked_div(of).unwrap_or(100).min(100);
    format!("{done} {rows} of {of} rows ({percent} %), at {table}")
}

/// What is told of a copy.
#[derive(Debug, Serialize)]
struct Copied {
    from: String,
    to: String,
    seconds: f64,
    tables: Vec<Rows>,
}

#[derive(Debug, Serialize)]
struct Rows {
    table: &'static str,
    rows: u64,
}

impl Copied {
    fn of(from: String, to: String, report: &CopyReport, took: Duration) -> Self {
        let tables = report.tables.iter().map(|(table, rows)| Rows { table, rows: *rows });
        Self { from, to, seconds: took.as_secs_f64(), tables: tables.collect() }
    }
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, seconds, tables } = self;
        write!(f, "copied {from} to {to} and compared every row, in {seconds:.1} s:")?;
        for (place, Rows { table, rows }) in tables.iter().enumerate() {
            write!(f, "{}{table} {rows}", if place == 0 { " " } else { ", " })?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_how_far_it_is() {
        let mut progress = CopyProgress { step: CopyStep::Copy, table: "keys", rows: 50, of: 400 };
        assert_eq!(progress_line(progress), "copied 50 of 400 rows (12 %), at keys");
        progress = CopyProgress { step: CopyStep::Compare, rows: 0, of: 0, ..progress };
        assert_eq!(progress_line(progress), "compared 0 of 0 rows (100 %), at keys");
    }

    #[test]
    fn sums_up_in_one_line() {
        let report = CopyReport { tables: vec![("keys", 2), ("usage_events", 10)] };
        let expected =
            "copied a.db to libsql://b and compared every row, in 1.2 s: keys 2, usage_events 10\n";
        let (from, to) = ("a.db".to_owned(), "libsql://b".to_owned());
        let copied = Copied::of(from, to, &report, Duration::from_millis(1_230));
        assert_eq!(copied.to_string(), expected);
    }
}
