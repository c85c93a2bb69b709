//! The connections to a libSQL server: how many there may be, what each is used for, and when it is given up.
//!
//! A connection of the libsql crate is a socket of its own and, after a query, a stream on the server, which dies when
//! nobody uses it for ten seconds. Reads keep it, with what they prepared on it, so that a read is one round trip. A
//! statement that writes prefers a connection without a stream, and ends one within its own request.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libsql::{Connection, Database, Value as LibsqlValue};
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::failure::driver_error;
use crate::driver::{DriverError, Row, Statement, Touches, Value};

/// A stream that was left alone for so long is not called again: the server lets it die after 10 s.
const STREAM_LIFE: Duration = Duration::from_secs(7);

/// Connections, opened when they are needed.
pub(super) struct Connections {
    database: Database,
    idle: Mutex<Vec<Slot>>,
    turns: Semaphore,
}

/// A connection with what was prepared on it.
struct Slot {
    connection: Connection,
    prepared: FxHashMap<&'static str, libsql::Statement>,
    used: Instant,
    /// Whether a read has left a stream open.
    has_stream: bool,
    /// Whether nothing was asked over it before: its socket can't have been closed, nor its stream, meanwhile.
    is_fresh: bool,
}

/// What a connection is taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

impl Connections {
    pub(super) fn new(database: Database, most: NonZeroUsize) -> Connections {
        let turns = Semaphore::new(most.get().min(Semaphore::MAX_PERMITS));
        Connections { database, idle: Mutex::default(), turns }
    }

    /// Runs a statement to its rows. Once again where the connection turns out to be a dead one.
    pub(super) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        let (_turn, mut slot) = self.take(Use::Read).await?;
        let mut outcome = slot.read(&statement).await;
        if outcome.is_err() && !slot.is_fresh {
            slot = self.open()?;
            outcome = slot.read(&statement).await;
        }
        self.keep(slot, Use::Read, outcome.is_ok());
        outcome
    }

    /// Runs one statement that gives no rows: one request, which is a transaction of its own and leaves no stream open.
    pub(super) async fn execute(&self, statement: Statement) -> Result<(), DriverError> {
        let (_turn, mut slot) = self.take(Use::Write).await?;
        let mut outcome = slot.execute(&statement).await;
        if is_dead(&outcome) && !slot.is_fresh {
            slot = self.open()?;
            outcome = slot.execute(&statement).await;
        }
        let is_verdict = matches!(outcome, Ok(_) | Err(DriverError::Raised(_)));
        self.keep(slot, Use::Write, is_verdict);
        match (statement.touches, outcome?) {
            (Touches::Exactly(wanted), touched) if wanted != touched => {
                Err(DriverError::Touched { statement: 0, wanted, touched })
            }
            (Touches::Exactly(_) | Touches::Any, _) => Ok(()),
        }
    }

    /// Runs a text that begins and ends its own transaction: one request, whose stream is closed whatever comes of it.
    pub(super) async fn run(&self, text: &str) -> Result<(), DriverError> {
        let (_turn, mut slot) = self.take(Use::Write).await?;
        let mut outcome = slot.run(text).await;
        if is_dead(&outcome) && !slot.is_fresh {
            slot = self.open()?;
            outcome = slot.run(text).await;
        }
        self.keep(slot, Use::Write, outcome.is_ok());
        outcome
    }

    /// Lets no further request in and closes the connections that are idle; the others close as they end.
    pub(super) fn close(&self) {
        self.turns.close();
        self.idle().clear();
    }

    /// A connection, once there may be one more: an idle one that suits, any idle one, or a new one.
    async fn take(&self, purpose: Use) -> Result<(SemaphorePermit<'_>, Slot), DriverError> {
        let closed = |_| DriverError::Unreachable(Box::new(DriverError::Closed));
        let turn = self.turns.acquire().await.map_err(closed)?;
        let idle = {
            let mut idle = self.idle();
            let wants_stream = purpose == Use::Read;
            let suits = idle.iter().rposition(|slot| slot.has_stream == wants_stream);
            suits.map(|place| idle.swap_remove(place)).or_else(|| idle.pop())
        };
        let slot = match idle {
            None => self.open()?,
            Some(slot) => slot,
        };
        if slot.has_stream && slot.used.elapsed() > STREAM_LIFE {
            slot.connection.reset().await;
        }
        Ok((turn, slot))
    }

    fn open(&self) -> Result<Slot, DriverError> {
        let connection = self.database.connect().map_err(driver_error)?;
        let prepared = FxHashMap::default();
        Ok(Slot { connection, prepared, used: Instant::now(), has_stream: false, is_fresh: true })
    }

    /// Keeps a connection that is in order. One that is not is closed, and with it its stream.
    fn keep(&self, mut slot: Slot, purpose: Use, is_in_order: bool) {
        if is_in_order && slot.connection.is_autocommit() && !self.turns.is_closed() {
            slot.used = Instant::now();
            slot.has_stream = purpose == Use::Read;
            slot.is_fresh = false;
            self.idle().push(slot);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    async fn read(&mut self, statement: &Statement) -> Result<Vec<Row>, DriverError> {
        let params = bound(statement.params.clone());
        let mut rows = match &statement.sql {
            Cow::Owned(sql) => self.connection.query(sql, params).await,
            Cow::Borrowed(sql) => {
                if !self.prepared.contains_key(sql) {
                    let prepared = self.connection.prepare(sql).await.map_err(driver_error)?;
                    self.prepared.insert(sql, prepared);
                }
                self.prepared[sql].query(params).await
            }
        }
        .map_err(driver_error)?;
        let mut read = Vec::new();
        while let Some(row) = rows.next().await.map_err(driver_error)? {
            let value = |column| row.get_value(column).map(value).map_err(driver_error);
            let values = (0..row.column_count()).map(value).collect::<Result<_, _>>()?;
            read.push(Row::new(values));
        }
        Ok(read)
    }

    async fn execute(&self, statement: &Statement) -> Result<u64, DriverError> {
        let params = bound(statement.params.clone());
        self.connection.execute(&statement.sql, params).await.map_err(driver_error)
    }

    async fn run(&self, text: &str) -> Result<(), DriverError> {
        self.connection.execute_batch(text).await.map(drop).map_err(driver_error)
    }
}

/// Whether the server did not know the stream of the request any more, or the client library had no way to it: nothing was
/// carried out.
fn is_dead<T>(outcome: &Result<T, DriverError>) -> bool {
    matches!(outcome, Err(DriverError::Status(_) | DriverError::Unreachable(_)))
}

fn bound(params: Vec<Value>) -> Vec<LibsqlValue> {
    let bind = |param| match param {
        Value::Null => LibsqlValue::Null,
        Value::Int(number) => LibsqlValue::Integer(number),
        Value::Text(text) => LibsqlValue::Text(text),
    };
    params.into_iter().map(bind).collect()
}

/// A value by its own type, whatever its column declares. A BLOB and a broken number become text, as from SQLite.
fn value(value: LibsqlValue) -> Value {
    match value {
        LibsqlValue::Null => Value::Null,
        LibsqlValue::Integer(number) => Value::Int(number),
        LibsqlValue::Real(number) => Value::Text(number.to_string()),
        LibsqlValue::Text(text) => Value::Text(text),
        LibsqlValue::Blob(bytes) => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
