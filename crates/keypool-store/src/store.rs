//! The open store: what the engine asks of the database, and what an error of a write is taken to mean.

use std::sync::Arc;

use keypool_core::{GrantId, ReplicaNo};

use crate::change::Change;
use crate::counters::{CounterMismatch, list_mismatches};
use crate::draws::{DrawBatch, Order, draw_statement};
use crate::driver::{DriverError, Statement};
use crate::error::{StoreError, WriteError};
use crate::snapshot::{Snapshot, load_snapshot};
use crate::sqlite::Sqlite;
use crate::usage::{UsageQuery, UsageRow, list_usage};

/// An open database. Clones share it; it stays locked until [`close`](Store::close), or until the last clone is
/// dropped.
#[derive(Clone, Debug)]
pub struct Store {
    driver: Arc<Sqlite>,
}

/// How many replica numbers there are: 10 bits of a grant's id.
const REPLICAS: i64 = 1024;

/// The rule of the schema that an event is newer than the one before it of the same key.
const EVENTS_IN_ORDER: &str = "events_in_order";

impl Store {
    pub(crate) fn new(driver: Sqlite) -> Store {
        Store { driver: Arc::new(driver) }
    }

    /// Everything that a pool is loaded from, as of one moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn load(&self) -> Result<Snapshot, StoreError> {
        load_snapshot(&self.driver).await.map_err(StoreError::Read)
    }

    /// Issues the next replica number, the first again after the last.
    ///
    /// # Errors
    /// The number could not be put on record.
    pub async fn issue_replica(&self) -> Result<ReplicaNo, WriteError> {
        loop {
            let last = self.number("SELECT last_replica FROM pool").await;
            let last = last.map_err(WriteError::Failed)?;
            let next = (last + 1).rem_euclid(REPLICAS);
            // Where another replica was quicker, no row is touched.
            let issue = Statement::new("UPDATE pool SET last_replica = ?1 WHERE last_replica = ?2");
            match self.driver.write(vec![issue.with(next).with(last).touching(1)]).await {
                Ok(()) => {
                    let number = u16::try_from(next).ok().and_then(ReplicaNo::new);
                    return Ok(number.expect("a number below 1024 is a replica's"));
                }
                Err(DriverError::Touched { .. }) => {}
                // A number that was issued to nobody is only skipped.
                Err(error) => return Err(WriteError::Failed(StoreError::Write(error))),
            }
        }
    }

    /// Puts a batch of draws on record: events, rate counters and budget counters, all or nothing, in one statement.
    ///
    /// # Errors
    /// [`WriteError::Stale`] and [`WriteError::Spent`] are the database's verdicts; otherwise the commit is known to
    /// have failed, or it cannot be known.
    pub async fn commit_draws(&self, batch: &DrawBatch) -> Result<(), WriteError> {
        let mut outcome = self.write_draws(batch, Order::Newest).await?;
        if matches!(&outcome, Err(DriverError::Forbidden(rule)) if rule.contains(EVENTS_IN_ORDER)) {
            outcome = self.write_draws(batch, Order::Between).await?;
        }
        let Err(error) = outcome else { return Ok(()) };
        if let DriverError::Raised(verdict) = &error {
            match verdict.as_str() {
                "keypooler: stale" => return Err(WriteError::Stale),
                "keypooler: spent" => return Err(WriteError::Spent),
                _ => {}
            }
        }
        if !error.leaves_doubt() {
            return Err(failed(error));
        }
        let looked = match batch.events.first() {
            Some(event) => self.was_committed(event.id).await,
            None => Ok(false),
        };
        self.settle(error, looked).await
    }

    /// Applies an admin change and raises the revision by one, all or nothing.
    ///
    /// # Errors
    /// [`WriteError::Stale`] if the revision is not the one that the change was decided on; otherwise the change is
    /// known to have failed, or it cannot be known.
    pub async fn change(&self, change: &Change) -> Result<(), WriteError> {
        let Err(error) = self.driver.write(change.statements()).await else {
            return Ok(());
        };
        if let DriverError::Touched { statement: 0, .. } = error {
            return Err(WriteError::Stale);
        }
        if !error.leaves_doubt() {
            return Err(failed(error));
        }
        let looked = self.revision().await;
        let looked = looked.map(|revision| revision == change.base.saturating_add(1));
        self.settle(error, looked).await
    }

    /// The pool's revision: a number that every admin change raises.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        self.number("SELECT revision FROM pool").await
    }

    /// Whether the batch that begins with this event is on record.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn was_committed(&self, first_event: GrantId) -> Result<bool, StoreError> {
        let statement =
            Statement::new("SELECT 1 FROM usage_events WHERE id = ?1").with(first_event.get());
        let rows = self.driver.read(statement).await.map_err(StoreError::Read)?;
        Ok(!rows.is_empty())
    }

    /// Usage events, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list_usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        list_usage(&self.driver, query).await.map_err(StoreError::Read)
    }

    /// Compares every counter with the events behind it (promise 3) and lists those that differ: none, ever.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn check_counters(&self) -> Result<Vec<CounterMismatch>, StoreError> {
        list_mismatches(&self.driver).await.map_err(StoreError::Read)
    }

    /// Ends reads and writes, folds the journal into the file, closes it and gives the lock back. Twice is harmless.
    pub async fn close(&self) {
        self.driver.close().await;
    }

    async fn write_draws(
        &self,
        batch: &DrawBatch,
        order: Order,
    ) -> Result<Result<(), DriverError>, WriteError> {
        let statement = draw_statement(batch, order).map_err(WriteError::Failed)?;
        Ok(self.driver.write(vec![statement]).await)
    }

    /// What a write that ended in doubt comes to, by what a look at the database says.
    ///
    /// What is seen is not known to be durable. What is not seen may still stand in the journal, after a flush that failed
    /// behind the commit, and come back when the journal is next recovered; unless another write has taken its place.
    async fn settle(
        &self,
        error: DriverError,
        seen: Result<bool, StoreError>,
    ) -> Result<(), WriteError> {
        let is_absent = matches!(seen, Ok(false));
        if is_absent && self.write_over().await.is_ok() {
            return Err(failed(error));
        }
        Err(WriteError::InDoubt(StoreError::Write(error)))
    }

    /// A write that takes the place of what stands at the journal's end. It must change something: SQLite writes no page
    /// whose content stays.
    async fn write_over(&self) -> Result<(), DriverError> {
        let raise = Statement::new("UPDATE pool SET overwrites = overwrites + 1").touching(1);
        self.driver.write(vec![raise]).await
    }

    async fn number(&self, sql: &'static str) -> Result<i64, StoreError> {
        let mut rows = self.driver.read(Statement::new(sql)).await.map_err(StoreError::Read)?;
        let first = rows.first_mut().map_or(Ok(0), |row| row.int());
        first.map_err(StoreError::Read)
    }
}

fn failed(error: DriverError) -> WriteError {
    WriteError::Failed(StoreError::Write(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_may_come_after_the_commit_leave_doubt() {
        assert!(DriverError::Disk(10).leaves_doubt() && DriverError::Closed.leaves_doubt());
        assert!(!DriverError::Busy.leaves_doubt() && !DriverError::Full.leaves_doubt());
        assert!(!DriverError::Forbidden("UNIQUE".to_owned()).leaves_doubt());
        assert!(!DriverError::Unreachable(Box::new(DriverError::Closed)).leaves_doubt());
    }
}
