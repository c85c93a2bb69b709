//! Folds the journal into the file beside the writer, on a connection of its own.
//!
//! SQLite does it in whichever commit finds the journal long. With `synchronous=NORMAL` that commit waits until the disk
//! has all that was written since the last time, and everybody else waits behind it: some milliseconds. Beside the writer
//! it delays nobody. Under load it never catches up with the last pages, which alone lets the journal start again from
//! its beginning: that is left to the writer, which then finds little to do. With `FULL` the disk has the journal
//! already; there the two would only get in each other's way.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Site;
use super::connection::{Connection, Purpose};
use crate::driver::{DriverError, Statement};
use crate::settings::Synchronous;

/// After so many writes the journal is folded in: a batch of draws writes about four pages.
const WRITES: u32 = 250;

/// The task, and how far the journal has grown.
pub(crate) struct Checkpointer {
    writes: u32,
    due: mpsc::Sender<()>,
    task: JoinSet<()>,
}

impl Checkpointer {
    /// Starts the task, if the file is written in a way that it helps; it ends with this value.
    pub(crate) fn start(site: &Site) -> Option<Checkpointer> {
        if site.synchronous == Synchronous::Full {
            return None;
        }
        let (due, dues) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(run(site.clone(), dues));
        Some(Checkpointer { writes: 0, due, task })
    }

    /// Counts a write of the journal.
    pub(crate) fn count_write(&mut self) {
        self.writes += 1;
        if self.writes == WRITES {
            self.writes = 0;
            // Where one is due already, that one does for both.
            let _ = self.due.try_send(());
        }
    }

    /// Ends the task; its connection is closed when this returns.
    pub(crate) async fn close(self) {
        let Self { due, mut task, .. } = self;
        drop(due);
        while task.join_next().await.is_some() {}
    }
}

async fn run(site: Site, mut dues: mpsc::Receiver<()>) {
    let mut idle = None;
    while let Some(()) = dues.recv().await {
        // Where this fails, the writer folds the journal in, and its errors are told.
        idle = fold(&site, idle.take()).await.ok();
    }
    if let Some(connection) = idle {
        connection.close().await;
    }
}

async fn fold(site: &Site, idle: Option<Connection>) -> Result<Connection, DriverError> {
    let mut connection = match idle {
        Some(connection) => connection,
        None => Connection::open(site, Purpose::Write).await?,
    };
    connection.read(Statement::new("PRAGMA wal_checkpoint(PASSIVE)")).await?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Sqlite;
    use super::super::lock::FileLock;
    use super::*;

    async fn open(synchronous: Synchronous, folder: &tempfile::TempDir) -> Sqlite {
        let path = folder.path().canonicalize().unwrap().join("a.db");
        std::fs::write(&path, "").unwrap();
        let lock = FileLock::take(&path).await.ok();
        let site = Site { path, synchronous, busy_timeout: Duration::from_millis(50) };
        let driver = Sqlite::open(site, lock).await.unwrap();
        driver.script("CREATE TABLE a (n INTEGER);").await.unwrap();
        for n in 0..i64::from(WRITES) {
            let insert = Statement::new("INSERT INTO a (n) VALUES (?1)").with(n);
            driver.write(vec![insert]).await.unwrap();
        }
        driver
    }

    /// How many pages of the journal are folded in.
    async fn folded(driver: &Sqlite) -> i64 {
        let look = Statement::new("PRAGMA wal_checkpoint(NOOP)");
        let mut row = driver.read(look).await.unwrap().remove(0);
        let (_busy, _pages) = (row.int().unwrap(), row.int().unwrap());
        row.int().unwrap()
    }

    #[tokio::test]
    async fn the_journal_is_folded_in_beside_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let driver = open(Synchronous::Normal, &folder).await;
        let is_folded = async {
            while folded(&driver).await == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), is_folded).await.unwrap();
        driver.close().await;
        // No connection is left behind: the last to be closed removes the journal.
        assert!(!folder.path().join("a.db-wal").exists());
    }

    #[tokio::test]
    async fn with_full_the_writer_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let driver = open(Synchronous::Full, &folder).await;
        assert_eq!(folded(&driver).await, 0);
        driver.close().await;
    }
}
