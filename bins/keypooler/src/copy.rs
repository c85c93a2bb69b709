//! `keypooler copy`: moves a whole pool from one database to another, and tells how far it is.

use std::fmt;
use std::time::Duration;

use keypool_engine::{CopyProgress, CopyReport, CopyStep, copy_pool};
use serde::Serialize;
use tokio::time::Instant;

use crate::config::CopySettings;
use crate::progress::Progress;
use crate::report::{self, Form};

/// Copies the pool, and prints what was copied.
pub(crate) async fn copy(settings: CopySettings, form: Form) -> anyhow::Result<()> {
    let (from, to) = (settings.from.to_string(), settings.to.to_string());
    let start = Instant::now();
    let progress = Progress::start();
    let report = copy_pool(settings.from, settings.to, |at| tell(&progress, at)).await?;
    drop(progress);
    report::print(&Copied::of(from, to, &report, start.elapsed()), form)
}

/// Tells a terminal how far a copy is.
pub(crate) fn tell(progress: &Progress, at: CopyProgress) {
    let doing = match at.step {
        CopyStep::Copy => "copying",
        CopyStep::Compare => "comparing",
    };
    progress.done(format!("{doing} {}", at.table), at.rows, at.of);
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
    fn sums_up_in_one_line() {
        let report = CopyReport { tables: vec![("keys", 2), ("usage_events", 10)] };
        let expected =
            "copied a.db to libsql://b and compared every row, in 1.2 s: keys 2, usage_events 10\n";
        let (from, to) = ("a.db".to_owned(), "libsql://b".to_owned());
        let copied = Copied::of(from, to, &report, Duration::from_millis(1_230));
        assert_eq!(copied.to_string(), expected);
    }
}
