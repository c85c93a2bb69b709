//! The task that owns the one writing connection: takes orders in turn and never leaves one half done.
//!
//! After any error but a verdict of our own the connection is closed, and the next order opens another: SQLite may have
//! rolled back by itself (a full disk), and a connection whose state is not known must not carry a commit.

use tokio::sync::{mpsc, oneshot};

use super::Site;
use super::checkpointer::Checkpointer;
use super::connection::{Connection, Purpose};
use super::lock::FileLock;
use super::wiping::wipe;
use crate::driver::{DriverError, Seat, Statement};

type Answer = oneshot::Sender<Result<(), DriverError>>;

/// What the writer is asked to do, with the way back for its outcome.
#[derive(Debug)]
pub(crate) enum Order {
    /// Apply these together or not at all.
    Write(Vec<Statement>, Answer),
    /// Run this text in one transaction.
    Script(&'static str, Answer),
    /// Rebuild the file and fold its journal in.
    Tidy(Answer),
    /// Note for guests how far everything is taken over, and a remark.
    Acknowledge(i64, String, Answer),
    /// Write these tables anew and cut the journal off.
    WipeRemains(&'static [&'static str], Answer),
    /// Close the file and end.
    Close(Answer),
}

/// The writing connection and the lock that it stands under; a guest's has none.
pub(crate) struct Writer {
    site: Site,
    connection: Option<Connection>,
    checkpointer: Option<Checkpointer>,
    lock: Option<FileLock>,
}

impl Writer {
    pub(crate) fn new(site: Site, connection: Connection, lock: Option<FileLock>) -> Writer {
        let checkpointer = Checkpointer::start(&site);
        Writer { site, connection: Some(connection), checkpointer, lock }
    }

    /// Serves orders until one says to close or nobody is left to give any. An answer that nobody waits for is dropped.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Write(statements, answer) => {
                    let _ = answer.send(self.write(statements).await);
                }
                Order::Script(text, answer) => {
                    let _ = answer.send(self.script(text).await);
                }
                Order::Tidy(answer) => {
                    let _ = answer.send(self.tidy().await);
                }
                Order::Acknowledge(revision, remark, answer) => {
                    let _ = answer.send(self.acknowledge(revision, &remark));
                }
                Order::WipeRemains(tables, answer) => {
                    let _ = answer.send(self.wipe_remains(tables).await);
                }
                Order::Close(answer) => {
                    self.close().await;
                    drop(self);
                    let _ = answer.send(Ok(()));
                    return;
                }
            }
        }
        self.close().await;
    }

    async fn write(&mut self, statements: Vec<Statement>) -> Result<(), DriverError> {
        let mut connection = self.take().await?;
        let outcome = connection.write(statements).await;
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.count_write();
        }
        self.keep(connection, outcome).await
    }

    async fn script(&mut self, text: &'static str) -> Result<(), DriverError> {
        let mut connection = self.take().await?;
        let outcome = connection.script(text).await;
        self.keep(connection, outcome).await
    }

    async fn tidy(&mut self) -> Result<(), DriverError> {
        let mut connection = self.take().await?;
        let outcome = tidy(&mut connection).await;
        self.keep(connection, outcome).await
    }

    fn seat(&self) -> Seat {
        if self.lock.is_some() { Seat::Server } else { Seat::Guest }
    }

    fn acknowledge(&self, revision: i64, remark: &str) -> Result<(), DriverError> {
        let noted = self.lock.as_ref().map_or(Ok(()), |lock| lock.note(revision, remark));
        noted.map_err(|error| DriverError::Broken(Box::new(error)))
    }

    async fn wipe_remains(&mut self, tables: &[&'static str]) -> Result<(), DriverError> {
        let mut connection = self.take().await?;
        let outcome = wipe(&mut connection, tables).await;
        connection.close().await;
        outcome
    }

    async fn take(&mut self) -> Result<Connection, DriverError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.site, Purpose::of(self.seat()))
                .await
                .map_err(|error| DriverError::Unreachable(Box::new(error))),
        }
    }

    async fn keep(
        &mut self,
        connection: Connection,
        outcome: Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        match &outcome {
            Ok(()) | Err(DriverError::Raised(_) | DriverError::Touched { .. }) => {
                self.connection = Some(connection);
            }
            Err(_) => connection.close().await,
        }
        outcome
    }

    async fn close(&mut self) {
        // The last connection to be closed folds the journal in whole; that is the writer's.
        if let Some(checkpointer) = self.checkpointer.take() {
            checkpointer.close().await;
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }
}

/// VACUUM leaves nothing of deleted rows in the file, the checkpoint nothing in the journal. Where a reader holds the
/// journal open, the checkpoint says so in its first column.
async fn tidy(connection: &mut Connection) -> Result<(), DriverError> {
    connection.bare("VACUUM").await?;
    let checkpoint = Statement::new("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut rows = connection.read(checkpoint).await?;
    match rows.first_mut().map(crate::driver::Row::int) {
        Some(Ok(0)) => Ok(()),
        Some(_) | None => Err(DriverError::Busy),
    }
}
