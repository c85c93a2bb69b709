//! The driver for a SQLite file: one writer, a few readers beside it. Knows no table of ours.

mod checkpointer;
pub(crate) mod connection;
pub(crate) mod lock;
mod readers;
mod wiping;
mod writer;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use self::connection::{Connection, Purpose};
use self::lock::FileLock;
use self::readers::Readers;
use self::writer::{Order, Writer};
use crate::driver::{DriverError, Host, Row, Seat, Statement};
use crate::settings::Synchronous;

/// Where a database file is and how its connections are set.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Its canonical path: absolute, so that SQLite cannot take it for a URI.
    pub(crate) path: PathBuf,
    pub(crate) synchronous: Synchronous,
    pub(crate) busy_timeout: Duration,
}

/// An open SQLite file. The writing connection lives in a task of its own, so a caller that goes away leaves no write
/// half done.
#[derive(Debug)]
pub(crate) struct Sqlite {
    orders: mpsc::Sender<Order>,
    readers: Readers,
    path: PathBuf,
    /// What file that was when it was opened.
    inode: Option<u64>,
    seat: Seat,
    /// Ends the writer's task with the driver.
    _task: Mutex<JoinSet<()>>,
}

impl Sqlite {
    /// Opens the file for writing, which brings it into WAL mode, and keeps the lock for as long as it is open; without
    /// one as a guest.
    pub(crate) async fn open(site: Site, lock: Option<FileLock>) -> Result<Sqlite, DriverError> {
        let seat = if lock.is_some() { Seat::Server } else { Seat::Guest };
        let connection = Connection::open(&site, Purpose::of(seat)).await?;
        let (orders, inbox) = mpsc::channel(64);
        let mut task = JoinSet::new();
        task.spawn(Writer::new(site.clone(), connection, lock).run(inbox));
        let path = site.path.clone();
        let inode = inode(&path);
        let readers = Readers::new(site);
        Ok(Sqlite { orders, readers, path, inode, seat, _task: Mutex::new(task) })
    }

    /// As whom it is written.
    pub(crate) fn seat(&self) -> Seat {
        self.seat
    }

    /// Tells guests how far everything is taken over, and a remark.
    pub(crate) async fn acknowledge(
        &self,
        revision: i64,
        remark: String,
    ) -> Result<(), DriverError> {
        self.order(|answer| Order::Acknowledge(revision, remark, answer)).await
    }

    /// What whoever serves the file tells its guests.
    pub(crate) fn host(&self) -> Result<Host, DriverError> {
        if inode(&self.path) != self.inode {
            return Err(DriverError::Replaced);
        }
        lock::host(&self.path).map_err(|error| DriverError::Broken(Box::new(error)))
    }

    pub(crate) fn busy_timeout(&self) -> Duration {
        self.readers.site().busy_timeout
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.readers.path()
    }

    /// Runs one statement to its rows, on a connection that cannot write.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        self.readers.read(statement).await
    }

    /// Applies statements together or not at all, in the order of the calls.
    pub(crate) async fn write(&self, statements: Vec<Statement>) -> Result<(), DriverError> {
        if inode(&self.path) != self.inode {
            return Err(DriverError::Replaced);
        }
        self.order(|answer| Order::Write(statements, answer)).await
    }

    /// Runs a migration's text in one transaction.
    pub(crate) async fn script(&self, text: &'static str) -> Result<(), DriverError> {
        self.order(|answer| Order::Script(text, answer)).await
    }

    /// Rebuilds the file without what was deleted in it and folds its journal in.
    pub(crate) async fn tidy(&self) -> Result<(), DriverError> {
        self.order(Order::Tidy).await
    }

    /// Writes tables anew, each by a text of its own in one transaction, so that their old pages are wiped, and cuts the
    /// journal off.
    pub(crate) async fn wipe_remains(
        &self,
        tables: &'static [&'static str],
    ) -> Result<(), DriverError> {
        self.order(|answer| Order::WipeRemains(tables, answer)).await
    }

    /// Ends reads and writes, folds the journal in, closes the file and gives the lock back. Twice is harmless.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        // An error says that it was closed before.
        let _ = self.order(Order::Close).await;
    }

    async fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<(), DriverError>>) -> Order,
    ) -> Result<(), DriverError> {
        let (answer, outcome) = oneshot::channel();
        // Not sent: nothing was done. Sent and never answered: the writer's task was ended meanwhile.
        let sent = self.orders.send(order(answer)).await;
        sent.map_err(|_| DriverError::Unreachable(Box::new(DriverError::Closed)))?;
        outcome.await.unwrap_or(Err(DriverError::Closed))
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.ino())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    async fn driver() -> (TempDir, Sqlite) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("a.db");
        fs::write(&path, "").unwrap();
        let lock = FileLock::take(&path).await.ok();
        let busy_timeout = Duration::from_millis(50);
        let site = Site { path, synchronous: Synchronous::Full, busy_timeout };
        let driver = Sqlite::open(site, lock).await.unwrap();
        driver.script("CREATE TABLE a (n INTEGER, t TEXT);").await.unwrap();
        (folder, driver)
    }

    fn insert(n: i64) -> Statement {
        Statement::new("INSERT INTO a (n) VALUES (?1)").with(n).touching(1)
    }

    async fn count(driver: &Sqlite) -> i64 {
        driver
            .read(Statement::new("SELECT count(*) FROM a"))
            .await
            .unwrap()
            .remove(0)
            .int()
            .unwrap()
    }

    #[tokio::test]
    async fn after_a_full_disk_the_next_write_is_kept() {
        let (_folder, driver) = driver().await;
        // The limit is the connection's own: the one that is opened after the error does not have it.
        driver.write(vec![Statement::new("PRAGMA max_page_count = 2")]).await.unwrap();
        let large = || Statement::new("INSERT INTO a (t) VALUES (hex(zeroblob(100000)))");
        let full = driver.write(vec![insert(1), large()]).await;
        assert!(matches!(full, Err(DriverError::Full)), "{full:?}");
        assert_eq!(count(&driver).await, 0);
        driver.write(vec![insert(2), large(), insert(3)]).await.unwrap();
        assert_eq!(count(&driver).await, 3);
    }

    #[tokio::test]
    async fn a_write_that_touches_another_number_of_rows_is_undone() {
        let (_folder, driver) = driver().await;
        let none = Statement::new("UPDATE a SET n = 2 WHERE n = 9").touching(1);
        let undone = driver.write(vec![insert(1), insert(2), none]).await;
        assert!(matches!(
            undone,
            Err(DriverError::Touched { statement: 2, wanted: 1, touched: 0 })
        ));
        assert_eq!(count(&driver).await, 0);
        driver.write(vec![insert(1), insert(2)]).await.unwrap();
        assert_eq!(count(&driver).await, 2);
    }

    #[tokio::test]
    async fn a_script_that_fails_is_undone() {
        let (_folder, driver) = driver().await;
        let failed =
            driver.script("INSERT INTO a (n) VALUES (1); INSERT INTO b (n) VALUES (1);").await;
        assert!(matches!(failed, Err(DriverError::Refused { .. })), "{failed:?}");
        assert_eq!(count(&driver).await, 0);
        driver.write(vec![insert(1)]).await.unwrap();
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let (_folder, driver) = driver().await;
        let refused = driver.read(insert(1)).await;
        assert!(matches!(refused, Err(DriverError::ReadOnly)), "{refused:?}");
        assert_eq!(count(&driver).await, 0);
    }

    #[tokio::test]
    async fn errors_name_no_parameter() {
        let (_folder, driver) = driver().await;
        driver
            .script("CREATE TABLE s (t TEXT UNIQUE CHECK (t <> 'bad'), n INTEGER) STRICT;")
            .await
            .unwrap();
        let secret = |sql| Statement::new(sql).with("sk-hidden");
        driver.write(vec![secret("INSERT INTO s (t) VALUES (?1)")]).await.unwrap();
        for sql in [
            "INSERT INTO s (t) VALUES (?1)",
            "INSERT INTO s (n) VALUES (?1)",
            "INSERT INTO s (n) SELECT value FROM json_each(?1)",
            "INSERT INTO s (n) VALUES ('{}' -> ?1)",
        ] {
            match driver.write(vec![secret(sql)]).await {
                Ok(()) => {}
                Err(error) => {
                    let text = format!("{error} {error:?}");
                    assert!(!text.contains("hidden"), "{text}");
                }
            }
        }
        assert!(!format!("{:?}", secret("")).contains("hidden"));
    }
}
