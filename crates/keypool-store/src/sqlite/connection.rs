//! One connection to a SQLite file: how it is opened, what it runs, and what its errors mean. Knows no table of ours.

use std::borrow::Cow;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Row as _, TypeInfo, ValueRef};

use super::Site;
use crate::driver::{DriverError, Row, Seat, Statement, Touches, Value};
use crate::settings::Synchronous;

/// Pages of the journal beyond which a commit folds it in by itself: SQLite's own number, and what leaves room for the
/// checkpointer to have done most of it.
const LONGEST_JOURNAL: u32 = 1_000;
const LONGEST_JOURNAL_CHECKPOINTED: u32 = 4_000;

/// What a connection is for, which decides how it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Changes the database; WAL, foreign keys, `secure_delete` and `synchronous` as asked for.
    Write,
    /// The same beside a server, as a guest; what is set aside for a while stays in memory.
    Visit,
    /// Reads beside the writer and cannot change anything.
    Read,
    /// Looks at a file without changing a byte of it.
    Look,
    /// The same, where a journal has to be played back first: SQLite then needs to write.
    LookAfterRecovery,
}

impl Purpose {
    /// What the writing connection of one who has this seat is for.
    pub(crate) fn of(seat: Seat) -> Purpose {
        match seat {
            Seat::Server => Purpose::Write,
            Seat::Guest => Purpose::Visit,
        }
    }
}

/// A connection. Dropping it closes it: an open transaction is rolled back by SQLite.
pub(crate) struct Connection {
    inner: SqliteConnection,
}

impl Connection {
    /// Opens the file and reads the settings back.
    pub(crate) async fn open(site: &Site, purpose: Purpose) -> Result<Connection, DriverError> {
        let options = SqliteConnectOptions::new()
            .filename(&site.path)
            .busy_timeout(site.busy_timeout)
            .create_if_missing(false)
            .disable_statement_logging();
        let (synchronous, longest_journal) = match site.synchronous {
            Synchronous::Full => (SqliteSynchronous::Full, LONGEST_JOURNAL),
            Synchronous::Normal => (SqliteSynchronous::Normal, LONGEST_JOURNAL_CHECKPOINTED),
        };
        let writing = |options: SqliteConnectOptions| {
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .foreign_keys(true)
                .pragma("secure_delete", "ON")
                .pragma("wal_autocheckpoint", longest_journal.to_string())
        };
        let options = match purpose {
            Purpose::Write => writing(options),
            Purpose::Visit => writing(options).pragma("temp_store", "MEMORY"),
            Purpose::Read => options.pragma("query_only", "ON"),
            Purpose::Look => options.read_only(true).pragma("temp_store", "MEMORY"),
            Purpose::LookAfterRecovery => options.pragma("temp_store", "MEMORY"),
        };
        let mut connection = Connection { inner: options.connect().await.map_err(driver_error)? };
        if matches!(purpose, Purpose::Write | Purpose::Visit) {
            connection.confirm("PRAGMA journal_mode", "journal_mode", "wal").await?;
            let level = match site.synchronous {
                Synchronous::Full => "2",
                Synchronous::Normal => "1",
            };
            connection.confirm("PRAGMA synchronous", "synchronous", level).await?;
            connection.confirm("PRAGMA foreign_keys", "foreign_keys", "1").await?;
            connection.confirm("PRAGMA secure_delete", "secure_delete", "1").await?;
        }
        Ok(connection)
    }

    /// An empty database that is nowhere but in memory.
    pub(crate) async fn in_memory() -> Result<Connection, DriverError> {
        let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
        Ok(Connection { inner: options.connect().await.map_err(driver_error)? })
    }

    /// Runs a statement to its rows.
    pub(crate) async fn read(&mut self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        let rows = bound(statement).fetch_all(&mut self.inner).await.map_err(driver_error)?;
        rows.iter().map(row).collect()
    }

    /// Applies statements together or not at all. After an error that is not [`DriverError::Raised`] or
    /// [`DriverError::Touched`] the connection has to be closed: it may stand in a transaction.
    pub(crate) async fn write(&mut self, mut write: Vec<Statement>) -> Result<(), DriverError> {
        match write.pop() {
            None => Ok(()),
            Some(only) if write.is_empty() => self.execute(0, only).await,
            Some(last) => {
                write.push(last);
                self.transaction(write).await
            }
        }
    }

    /// Runs a migration's text in one transaction. After an error the connection has to be closed.
    pub(crate) async fn script(&mut self, text: &'static str) -> Result<(), DriverError> {
        self.bare("BEGIN IMMEDIATE").await?;
        self.bare(text).await?;
        self.bare("COMMIT").await
    }

    /// Runs text that takes no parameters and gives no rows, as it stands.
    pub(crate) async fn bare(&mut self, text: &'static str) -> Result<(), DriverError> {
        sqlx::raw_sql(text).execute(&mut self.inner).await.map(drop).map_err(driver_error)
    }

    /// Closes the file; what was running has ended when this returns.
    pub(crate) async fn close(self) {
        if let Err(error) = self.inner.close().await {
            tracing::debug!(error = %driver_error(error), "a database connection closed badly");
        }
    }

    async fn transaction(&mut self, write: Vec<Statement>) -> Result<(), DriverError> {
        self.bare("BEGIN IMMEDIATE").await?;
        for (place, statement) in write.into_iter().enumerate() {
            match self.execute(place, statement).await {
                Ok(()) => {}
                Err(verdict @ (DriverError::Raised(_) | DriverError::Touched { .. })) => {
                    self.bare("ROLLBACK").await?;
                    return Err(verdict);
                }
                Err(error) => return Err(error),
            }
        }
        self.bare("COMMIT").await
    }

    async fn execute(&mut self, place: usize, statement: Statement) -> Result<(), DriverError> {
        let touches = statement.touches;
        let done = bound(statement).execute(&mut self.inner).await.map_err(driver_error)?;
        match touches {
            Touches::Exactly(wanted) if wanted != done.rows_affected() => {
                Err(DriverError::Touched {
                    statement: place,
                    wanted,
                    touched: done.rows_affected(),
                })
            }
            Touches::Exactly(_) | Touches::Any => Ok(()),
        }
    }

    async fn confirm(
        &mut self,
        pragma: &'static str,
        name: &'static str,
        wanted: &str,
    ) -> Result<(), DriverError> {
        let found = match self.read_value(pragma).await? {
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Null => "nothing".to_owned(),
        };
        if found == wanted {
            return Ok(());
        }
        Err(DriverError::Setting { name, wanted: wanted.to_owned(), found })
    }

    async fn read_value(&mut self, sql: &'static str) -> Result<Value, DriverError> {
        let row = sqlx::query(sql).fetch_one(&mut self.inner).await.map_err(driver_error)?;
        value(&row, 0)
    }
}

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bound(statement: Statement) -> Query {
    let query = match statement.sql {
        Cow::Borrowed(sql) => sqlx::query(sql),
        // Put together from texts of ours, never from input.
        Cow::Owned(sql) => sqlx::query(AssertSqlSafe(sql)),
    };
    statement.params.into_iter().fold(query, |query, param| match param {
        Value::Null => query.bind(None::<i64>),
        Value::Int(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

fn row(row: &SqliteRow) -> Result<Row, DriverError> {
    (0..row.len()).map(|column| value(row, column)).collect::<Result<_, _>>().map(Row::new)
}

/// Reads a value by its own type, whatever its column declares. A BLOB and text that is not UTF-8 become text.
fn value(row: &SqliteRow, column: usize) -> Result<Value, DriverError> {
    let raw = row.try_get_raw(column).map_err(driver_error)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    if raw.type_info().name() == "INTEGER" {
        return row.try_get_unchecked(column).map(Value::Int).map_err(driver_error);
    }
    let bytes: Vec<u8> = row.try_get_unchecked(column).map_err(driver_error)?;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Value::Text(text))
}

/// What a failure of sqlx means. SQLite's result codes: <https://sqlite.org/rescode.html>.
fn driver_error(error: sqlx::Error) -> DriverError {
    const CONSTRAINT_TRIGGER: i32 = 1811;
    let Some(database) = error.as_database_error() else {
        return DriverError::Broken(Box::new(error));
    };
    let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    let message = database.message().to_owned();
    match (code, code & 0xff) {
        (CONSTRAINT_TRIGGER, _) => DriverError::Raised(message),
        (_, 5 | 6) => DriverError::Busy,
        (_, 8) => DriverError::ReadOnly,
        (_, 10) => DriverError::Disk(code),
        (_, 11) => DriverError::Damaged,
        (_, 13) => DriverError::Full,
        (_, 14) => DriverError::CannotOpen,
        (_, 19) => DriverError::Forbidden(message),
        (_, 26) => DriverError::NotADatabase,
        _ => DriverError::Refused { code, message },
    }
}
