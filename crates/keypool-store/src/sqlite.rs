//! The driver for a SQLite file: one writer, a few readers beside it. Knows no table of ours.

pub(crate) mod connection;
pub(crate) mod lock;
mod readers;
mod writer;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use self::connection::{Connection, Purpose};
use self::lock::FileLock;
use self::readers::Readers;
use self::writer::{Order, Writer};
use crate::driver::{DriverError, Row, Statement};
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
    /// Ends the writer's task with the driver.
    _task: Mutex<JoinSet<()>>,
}

impl Sqlite {
    /// Opens the file for writing, which brings it into WAL mode, and keeps the lock for as long as it is open.
    pub(crate) async fn open(site: Site, lock: FileLock) -> Result<Sqlite, DriverError> {
        let connection = Connection::open(&site, Purpose::Write).await?;
        let (orders, inbox) = mpsc::channel(64);
        let mut task = JoinSet::new();
        task.spawn(Writer::new(site.clone(), connection, lock).run(inbox));
        Ok(Sqlite { orders, readers: Readers::new(site), _task: Mutex::new(task) })
    }

    /// Runs one statement to its rows, on a connection that cannot write.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        self.readers.read(statement).await
    }

    /// Applies statements together or not at all, in the order of the calls.
    pub(crate) async fn write(&self, statements: Vec<Statement>) -> Result<(), DriverError> {
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
