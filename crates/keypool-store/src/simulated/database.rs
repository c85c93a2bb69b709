//! The database: SQLite in memory, with a clock of its own.

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, params_from_iter};

use crate::driver::{DriverError, Row, Statement, Touches, Value};

/// The Julian day of 1970-01-01T00:00:00Z.
const UNIX_EPOCH_DAY: f64 = 2_440_587.5;
const MS_PER_DAY: f64 = 86_400_000.0;

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

/// SQLite refused.
#[derive(Debug, thiserror::Error)]
#[error("the simulated database refuses")]
pub struct SimulationError(#[from] rusqlite::Error);

/// An open database.
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    pub(super) fn open(
        contents: Option<&[u8]>,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Database, SimulationError> {
        // One thread has it: see the mutex around this.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_in_memory_with_flags(flags)?;
        if let Some(contents) = contents {
            connection.deserialize_read_exact(MAIN_DB, contents, contents.len(), false)?;
        }
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
        connection.set_prepared_statement_cache_capacity(256);
        // All that the schema asks the calendar is what time it is.
        let clock = move |context: &rusqlite::functions::Context<'_>| {
            let asked: String = context.get(0)?;
            if asked != "now" {
                return Err(rusqlite::Error::InvalidParameterName(asked));
            }
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time are exact")]
            let now = now_ms() as f64;
            Ok(now / MS_PER_DAY + UNIX_EPOCH_DAY)
        };
        connection.create_scalar_function("julianday", 1, FunctionFlags::SQLITE_UTF8, clock)?;
        Ok(Database { connection })
    }

    pub(super) fn contents(&self) -> Result<Vec<u8>, SimulationError> {
        Ok(self.connection.serialize(MAIN_DB)?.to_vec())
    }

    pub(super) fn look(
        &self,
        sql: &str,
        numbers: &[i64],
    ) -> Result<Vec<Vec<Cell>>, SimulationError> {
        let cell = |value| match value {
            Value::Null => Cell::Null,
            Value::Int(number) => Cell::Int(number),
            Value::Text(text) => Cell::Text(text),
        };
        let numbers: Vec<Value> = numbers.iter().copied().map(Value::Int).collect();
        let rows = self.rows(sql, &numbers)?;
        Ok(rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect())
    }

    pub(super) fn run(&self, sql: &str) -> Result<(), SimulationError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    pub(super) fn read(&self, statement: &Statement) -> Result<Vec<Row>, DriverError> {
        let rows = self.rows(&statement.sql, &statement.params).map_err(driver_error)?;
        Ok(rows.into_iter().map(Row::new).collect())
    }

    /// Applies statements together or not at all.
    pub(super) fn write(&self, statements: &[Statement]) -> Result<(), DriverError> {
        self.within_transaction(|| {
            for (place, statement) in statements.iter().enumerate() {
                let touched = self.touched(statement).map_err(driver_error)?;
                if let Touches::Exactly(wanted) = statement.touches
                    && touched != wanted
                {
                    return Err(DriverError::Touched { statement: place, wanted, touched });
                }
            }
            Ok(())
        })
    }

    /// Runs a migration's text in one transaction.
    pub(super) fn script(&self, text: &str) -> Result<(), DriverError> {
        self.within_transaction(|| self.connection.execute_batch(text).map_err(driver_error))
    }

    fn within_transaction(
        &self,
        work: impl FnOnce() -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let run = |text: &str| {
            let done = self.connection.prepare_cached(text).and_then(|mut it| it.execute([]));
            done.map(drop).map_err(driver_error)
        };
        run("BEGIN IMMEDIATE")?;
        match work() {
            Ok(()) => run("COMMIT"),
            Err(error) => {
                if !self.connection.is_autocommit() {
                    run("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    fn touched(&self, statement: &Statement) -> Result<u64, rusqlite::Error> {
        let mut prepared = self.connection.prepare_cached(&statement.sql)?;
        let params = params_from_iter(statement.params.iter().map(sql_value));
        if prepared.column_count() > 0 {
            let mut rows = prepared.query(params)?;
            while rows.next()?.is_some() {}
            return Ok(self.connection.changes());
        }
        prepared.execute(params).map(|touched| touched as u64)
    }

    fn rows(&self, sql: &str, params: &[Value]) -> Result<Vec<Vec<Value>>, rusqlite::Error> {
        let mut prepared = self.connection.prepare_cached(sql)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(params_from_iter(params.iter().map(sql_value)))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |column| match row.get_ref(column)? {
                ValueRef::Null => Ok(Value::Null),
                ValueRef::Integer(number) => Ok(Value::Int(number)),
                #[expect(clippy::cast_possible_truncation, reason = "as the other drivers do")]
                ValueRef::Real(number) => Ok(Value::Int(number as i64)),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    Ok(Value::Text(String::from_utf8_lossy(text).into_owned()))
                }
            };
            found.push((0..columns).map(value).collect::<Result<_, rusqlite::Error>>()?);
        }
        Ok(found)
    }
}

fn sql_value(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Int(number) => SqlValue::Integer(*number),
        Value::Text(text) => SqlValue::Text(text.clone()),
    }
}

fn driver_error(error: rusqlite::Error) -> DriverError {
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return DriverError::Broken(Box::new(error));
    };
    let message = message.unwrap_or_default();
    if message.starts_with("keypooler: ") {
        DriverError::Raised(message)
    } else if failure.code == ErrorCode::ConstraintViolation {
        DriverError::Forbidden(message)
    } else {
        DriverError::Refused { code: failure.extended_code, message }
    }
}
