//! How a statement fails: message and code as a libSQL server puts them.

use rusqlite::ffi;

/// A statement's failure. Where a step fails its batch goes on; where a request fails its pipeline goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) message: String,
    pub(crate) code: &'static str,
}

impl SqlError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), code }
    }

    pub(crate) fn no_statement() -> Self {
        Self::new("SQL_NO_STATEMENT", "SQL string does not contain any statement")
    }

    pub(crate) fn unsupported() -> Self {
        Self::new("SQL_UNSUPPORTED", "unsupported statement")
    }

    pub(crate) fn transaction_timeout() -> Self {
        Self::new("TRANSACTION_TIMEOUT", "Transaction timed-out")
    }

    pub(crate) fn busy() -> Self {
        Self::new("SQLITE_BUSY", "SQLite error: database is locked")
    }

    pub(crate) fn stream_closed() -> Self {
        Self::new("STREAM_CLOSED", "The stream has been closed")
    }

    pub(crate) fn wrong_arguments(what: impl std::fmt::Display) -> Self {
        Self::new("ARGS_INVALID", format!("Arguments do not match SQL parameters: {what}"))
    }

    /// Whether another connection was in the way.
    pub(crate) fn is_busy(&self) -> bool {
        self.code.starts_with("SQLITE_BUSY")
    }
}

impl From<rusqlite::Error> for SqlError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are misuse of the driver")]
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(cause, message) => {
                let message = message.unwrap_or_else(|| cause.to_string());
                Self::new(name_of(cause.extended_code), format!("SQLite error: {message}"))
            }
            rusqlite::Error::SqlInputError { msg, offset, .. } => {
                Self::new("SQL_INPUT_ERROR", format!("SQL input error: {msg} (at offset {offset})"))
            }
            rusqlite::Error::MultipleStatement => {
                Self::new("SQL_MANY_STATEMENTS", "SQL string contains more than one statement")
            }
            other => Self::new("SQLITE_UNKNOWN", format!("SQLite error: {other}")),
        }
    }
}

/// The name of an extended result code: <https://www.sqlite.org/rescode.html>.
fn name_of(extended: i32) -> &'static str {
    match extended {
        ffi::SQLITE_ABORT => "SQLITE_ABORT",
        ffi::SQLITE_ABORT_ROLLBACK => "SQLITE_ABORT_ROLLBACK",
        ffi::SQLITE_AUTH => "SQLITE_AUTH",
        ffi::SQLITE_BUSY => "SQLITE_BUSY",
        ffi::SQLITE_BUSY_RECOVERY => "SQLITE_BUSY_RECOVERY",
        ffi::SQLITE_BUSY_SNAPSHOT => "SQLITE_BUSY_SNAPSHOT",
        ffi::SQLITE_BUSY_TIMEOUT => "SQLITE_BUSY_TIMEOUT",
        ffi::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        ffi::SQLITE_CONSTRAINT_CHECK => "SQLITE_CONSTRAINT_CHECK",
        ffi::SQLITE_CONSTRAINT_DATATYPE => "SQLITE_CONSTRAINT_DATATYPE",
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => "SQLITE_CONSTRAINT_FOREIGNKEY",
        ffi::SQLITE_CONSTRAINT_FUNCTION => "SQLITE_CONSTRAINT_FUNCTION",
        ffi::SQLITE_CONSTRAINT_NOTNULL => "SQLITE_CONSTRAINT_NOTNULL",
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY => "SQLITE_CONSTRAINT_PRIMARYKEY",
        ffi::SQLITE_CONSTRAINT_ROWID => "SQLITE_CONSTRAINT_ROWID",
        ffi::SQLITE_CONSTRAINT_TRIGGER => "SQLITE_CONSTRAINT_TRIGGER",
        ffi::SQLITE_CONSTRAINT_UNIQUE => "SQLITE_CONSTRAINT_UNIQUE",
        ffi::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        ffi::SQLITE_ERROR => "SQLITE_ERROR",
        ffi::SQLITE_FULL => "SQLITE_FULL",
        ffi::SQLITE_INTERRUPT => "SQLITE_INTERRUPT",
        ffi::SQLITE_LOCKED => "SQLITE_LOCKED",
        ffi::SQLITE_MISMATCH => "SQLITE_MISMATCH",
        ffi::SQLITE_MISUSE => "SQLITE_MISUSE",
        ffi::SQLITE_NOTADB => "SQLITE_NOTADB",
        ffi::SQLITE_RANGE => "SQLITE_RANGE",
        ffi::SQLITE_READONLY => "SQLITE_READONLY",
        ffi::SQLITE_SCHEMA => "SQLITE_SCHEMA",
        ffi::SQLITE_TOOBIG => "SQLITE_TOOBIG",
        // The lowest byte of an extended code is the primary code it belongs to.
        other if other & 0xff == ffi::SQLITE_IOERR => "SQLITE_IOERR",
        other if other & 0xff == ffi::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        _ => "SQLITE_UNKNOWN",
    }
}
