//! What the disk and SQLite alone cost: one flush, and one commit of a draw's rows by a program that does nothing else.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::bench::report::median;

/// How often each is done.
const TIMES: usize = 500;

/// The statement that the store sends for a batch of draws.
const DRAW: &str = "INSERT INTO draw_batch (revision, events, strays, rates, budgets) VALUES (?1, ?2, '[]', ?3, ?4)";

/// The median of writing 4 KiB at a file's end and flushing them, in microseconds.
pub(crate) fn flush(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("flushed");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let start = now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(micros(start.elapsed()));
    }
    std::fs::remove_file(path)?;
    median(&times).context("a flush was timed")
}

/// The median of a commit of one draw, `synchronous=FULL`, in microseconds. The database is one that no server has open;
/// its pool has one tier and unlimited keys.
pub(crate) fn commit(database: &Path) -> anyhow::Result<f64> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("secure_delete", "ON")
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        let mut times = Vec::with_capacity(TIMES);
        for turn in 0..TIMES {
            let start = now();
            draw(&mut connection, turn).await?;
            times.push(micros(start.elapsed()));
        }
        connection.close().await?;
        median(&times).context("a commit was timed")
    })
}

async fn draw(connection: &mut SqliteConnection, turn: usize) -> anyhow::Result<()> {
    // Keys in turn, ids of the year 2033: above all that a server gives out.
    let (key, since) = (turn % 10 + 1, 2_000_000_000_000_i64);
    let id = (since << 21) + i64::try_from(turn)?;
    sqlx::query(DRAW)
        .bind(REVISION)
        .bind(format!("[[{id},{key},0,1,null]]"))
        .bind(format!("[[{key},1,{since},1,{id},{id}]]"))
        .bind(format!("[[{key},null,1,{id},{id}]]"))
        .execute(connection)
        .await
        .context("the bare commit failed")?;
    Ok(())
}

/// The revision of a fresh pool with a tier, keys, a consumer and a scope.
const REVISION: i64 = 5;

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}
