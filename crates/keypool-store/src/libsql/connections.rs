//! The connections to a libSQL server: how many there may be, what each is used for, and when it is given up.
//!
//! A connection of the libsql crate is a socket of its own and, after a query, a stream on the server, which dies when
//! nobody uses it for ten seconds. Reads keep it, with what they prepared on it, so that a read is one round trip. A
//! statement that writes prefers a connection without a stream, and ends one within its own request.

use std::borrow::Cow;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libsql::{Connection, Database, Value as LibsqlValue};
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::failure::driver_error;
use crate::driver::{DriverError, Row, Statement, Touches, Value};

/// What stands in the first column of a list's last row, so that one that broke off is known: to the client library a list
/// has ended where the answer ends.
const END: &str = "keypooler: end";

/// A stream that was left alone for so long is not called again: the server lets it die after 10 s.
const STREAM_LIFE: Duration = Duration::from_secs(7);

/// Connections, opened when they are needed.
pub(super) struct Connections {
    database: Database,
    idle: Mutex<Vec<Slot>>,
    turns: Semaphore,
    /// Turns of reads that may take their time: one connection is left for all others, where there are several.
    long_turns: Semaphore,
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
        let most = most.get().min(Semaphore::MAX_PERMITS);
        let long_turns = Semaphore::new(most.saturating_sub(1).max(1));
        Connections { database, idle: Mutex::default(), turns: Semaphore::new(most), long_turns }
    }

    /// Runs a statement to its rows. Once again where the connection turns out to be a dead one.
    pub(super) async fn read(
        &self,
        statement: Statement,
        longest: Duration,
    ) -> Result<Vec<Row>, DriverError> {
        let long_turn = statement.is_long.then(|| turn(&self.long_turns, longest));
        let _long_turn = match long_turn {
            Some(turn) => Some(turn.await?),
            None => None,
        };
        let _turn = turn(&self.turns, longest).await?;
        within(longest, async {
            let mut slot = self.take(Use::Read).await?;
            let mut outcome = slot.read(&statement).await;
            if outcome.is_err() && !slot.is_fresh {
                slot = self.open()?;
                outcome = slot.read(&statement).await;
            }
            self.keep(slot, Use::Read, outcome.is_ok());
            outcome
        })
        .await
    }

    /// Runs one statement that gives no rows: one request, which is a transaction of its own and leaves no stream open.
    pub(super) async fn execute(
        &self,
        statement: Statement,
        longest: Duration,
    ) -> Result<(), DriverError> {
        let _turn = turn(&self.turns, longest).await?;
        let touched = within(longest, async {
            let mut slot = self.take(Use::Write).await?;
            let mut outcome = slot.execute(&statement).await;
            if is_dead(&outcome) && !slot.is_fresh {
                slot = self.open()?;
                outcome = slot.execute(&statement).await;
            }
            let is_verdict = matches!(outcome, Ok(_) | Err(DriverError::Raised(_)));
            self.keep(slot, Use::Write, is_verdict);
            outcome
        });
        match (statement.touches, touched.await?) {
            (Touches::Exactly(wanted), touched) if wanted != touched => {
                Err(DriverError::Touched { statement: 0, wanted, touched })
            }
            (Touches::Exactly(_) | Touches::Any, _) => Ok(()),
        }
    }

    /// Runs a text that begins and ends its own transaction: one request, whose stream is closed whatever comes of it.
    pub(super) async fn run(&self, text: &str, longest: Duration) -> Result<(), DriverError> {
        let _turn = turn(&self.turns, longest).await?;
        within(longest, async {
            let mut slot = self.take(Use::Write).await?;
            let mut outcome = slot.run(text).await;
            if is_dead(&outcome) && !slot.is_fresh {
                slot = self.open()?;
                outcome = slot.run(text).await;
            }
            self.keep(slot, Use::Write, outcome.is_ok());
            outcome
        })
        .await
    }

    /// Lets no further request in and closes the connections that are idle; the others close as they end.
    pub(super) fn close(&self) {
        self.turns.close();
        self.long_turns.close();
        self.idle().clear();
    }

    /// A connection for whoever has a turn: an idle one that suits, any idle one, or a new one.
    async fn take(&self, purpose: Use) -> Result<Slot, DriverError> {
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
        Ok(slot)
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
            Cow::Owned(sql) => self.prepare(sql).await?.query(params).await,
            Cow::Borrowed(sql) => {
                if !self.prepared.contains_key(sql) {
                    let prepared = self.prepare(sql).await?;
                    self.prepared.insert(sql, prepared);
                }
                self.prepared[sql].query(params).await
            }
        }
        .map_err(driver_error)?;
        let mut read = Vec::new();
        while let Some(row) = rows.next().await.map_err(driver_error)? {
            let value = |column| row.get_value(column).map(value).map_err(driver_error);
            read.push((0..row.column_count()).map(value).collect::<Result<Vec<_>, _>>()?);
        }
        match read.pop() {
            Some(end) if end.first() == Some(&Value::from(END)) => {
                Ok(read.into_iter().map(Row::new).collect())
            }
            Some(_) | None => Err(DriverError::Unanswered("a list broke off".to_owned())),
        }
    }

    /// Prepares a query with a row more, its end.
    async fn prepare(&self, sql: &str) -> Result<libsql::Statement, DriverError> {
        let columns = self.connection.prepare(sql).await.map_err(driver_error)?.column_count();
        let nulls = ", NULL".repeat(columns.saturating_sub(1));
        let ended = format!("SELECT * FROM ({sql}) UNION ALL SELECT '{END}'{nulls}");
        self.connection.prepare(&ended).await.map_err(driver_error)
    }

    async fn execute(&self, statement: &Statement) -> Result<u64, DriverError> {
        let params = bound(statement.params.clone());
        self.connection.execute(&statement.sql, params).await.map_err(driver_error)
    }

    async fn run(&self, text: &str) -> Result<(), DriverError> {
        self.connection.execute_batch(text).await.map(drop).map_err(driver_error)
    }
}

/// Waits for a turn. Where none comes in time nothing was sent.
async fn turn(turns: &Semaphore, longest: Duration) -> Result<SemaphorePermit<'_>, DriverError> {
    let unreachable = |error| DriverError::Unreachable(Box::new(error));
    match timeout(longest, turns.acquire()).await {
        Ok(turn) => turn.map_err(|_| unreachable(DriverError::Closed)),
        Err(_) => Err(unreachable(DriverError::NoConnection("all are in use".to_owned()))),
    }
}

/// Gives a request up that takes longer: its outcome is not known then.
async fn within<T>(
    longest: Duration,
    request: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, DriverError> {
    let late = || DriverError::Unanswered(format!("none within {} ms", longest.as_millis()));
    timeout(longest, request).await.unwrap_or_else(|_| Err(late()))
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
