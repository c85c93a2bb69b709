//! The boundary to a database: statements in, rows out. Owns the types that cross it, and which driver is behind it;
//! knows no SQL.
//!
//! A driver does three things: *read* (one statement, to rows), *write* (statements applied together or not at all,
//! each with the number of rows it must touch) and *script* (the text of a migration, in one transaction). A write of
//! exactly one statement is a transaction of its own: one round trip, nothing left open.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use std::vec;

#[cfg(feature = "libsql")]
use crate::libsql::Libsql;
#[cfg(feature = "simulation")]
use crate::simulated::Simulated;
use crate::sqlite::Sqlite;

/// One value on its way into a statement or out of a row. Prints its kind alone: it may be secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "null",
            Value::Int(_) => "int",
            Value::Text(_) => "text",
        })
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// How many rows a statement of a write must touch; another number undoes the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touches {
    Any,
    Exactly(u64),
}

/// A statement with its parameters, which stand as `?1`, `?2`, … in its text.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: Cow<'static, str>,
    pub(crate) params: Vec<Value>,
    pub(crate) touches: Touches,
    /// Whether it goes through many rows, and may take its time over a network.
    #[cfg_attr(not(feature = "libsql"), expect(dead_code, reason = "a file is near"))]
    pub(crate) is_long: bool,
}

impl Statement {
    /// A statement without parameters that may touch any number of rows.
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>) -> Statement {
        Statement { sql: sql.into(), params: Vec::new(), touches: Touches::Any, is_long: false }
    }

    /// The same, which may take its time.
    pub(crate) fn long(sql: impl Into<Cow<'static, str>>) -> Statement {
        Statement { is_long: true, ..Statement::new(sql) }
    }

    /// Adds the next parameter.
    pub(crate) fn with(mut self, value: impl Into<Value>) -> Statement {
        self.params.push(value.into());
        self
    }

    /// Demands the number of rows that it touches.
    pub(crate) fn touching(mut self, rows: usize) -> Statement {
        self.touches = Touches::Exactly(rows as u64);
        self
    }
}

/// One row of an answer, read column by column from the left.
#[derive(Debug)]
pub(crate) struct Row {
    rest: vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Row {
        Row { rest: values.into_iter() }
    }

    /// The next column, a number.
    pub(crate) fn int(&mut self) -> Result<i64, DriverError> {
        self.int_or_null()?.ok_or(DriverError::Column { wanted: "a number", found: "nothing" })
    }

    /// The next column, a text.
    pub(crate) fn text(&mut self) -> Result<String, DriverError> {
        self.text_or_null()?.ok_or(DriverError::Column { wanted: "a text", found: "nothing" })
    }

    /// The next column, a number or NULL.
    pub(crate) fn int_or_null(&mut self) -> Result<Option<i64>, DriverError> {
        match self.rest.next() {
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(Value::Null) | None => Ok(None),
            Some(Value::Text(_)) => {
                Err(DriverError::Column { wanted: "a number", found: "a text" })
            }
        }
    }

    /// The next column, a text or NULL.
    pub(crate) fn text_or_null(&mut self) -> Result<Option<String>, DriverError> {
        match self.rest.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) | None => Ok(None),
            Some(Value::Int(_)) => Err(DriverError::Column { wanted: "a text", found: "a number" }),
        }
    }
}

/// What failed below the store, without any parameter of the statement: those may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A trigger of ours refused the statement with this word; nothing was changed.
    #[error("{0}")]
    Raised(String),
    /// A statement touched another number of rows than it must; everything was undone.
    #[error(
        "statement {statement} of the write touched {touched} rows where it must touch {wanted}"
    )]
    Touched {
        /// Its place in the write, from 0.
        statement: usize,
        /// The rows that it must touch.
        wanted: u64,
        /// The rows that it touched.
        touched: u64,
    },
    /// Another process holds the file locked; nothing was changed.
    #[error(
        "another process holds the database locked and did not let go of it within the busy timeout; \
         see which process has the file open, and stop it"
    )]
    Busy,
    /// The disk is full.
    #[error("the disk that holds the database is full; make room")]
    Full,
    /// The file, its folder or its file system forbids writing.
    #[error("the database cannot be written: the file, its folder or its file system is read-only")]
    ReadOnly,
    /// The file, or one beside it, cannot be opened.
    #[error(
        "the database file cannot be opened: see that it and its folder may be read and written"
    )]
    CannotOpen,
    /// The disk answered with an error.
    #[error("the disk that holds the database reports an error (SQLite code {0})")]
    Disk(i32),
    /// The file's content is damaged.
    #[error("the database file is damaged")]
    Damaged,
    /// The file holds something else.
    #[error("the file is not a SQLite database")]
    NotADatabase,
    /// A rule of the schema forbids the change; nothing was changed.
    #[error("a rule of the schema forbids it: {0}")]
    Forbidden(String),
    /// The database server carried nothing out and says why.
    #[error("the database server refuses (code {code}): {message}")]
    Rejected {
        /// The server's word for it.
        code: String,
        /// Its sentence, which names tables and columns but no values.
        message: String,
    },
    /// Calls to the database server cannot be secured.
    #[error(
        "calls to the database server cannot be secured: see DATABASE_URL and DATABASE_CA_FILE"
    )]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// The database server does not take the token.
    #[error("the database server refuses the token: see DATABASE_AUTH_TOKEN")]
    Unauthorized,
    /// There is no connection to the database server.
    #[error("no connection to the database server: {0}")]
    NoConnection(String),
    /// The database server takes no more requests for now; nothing was carried out.
    #[error("the database server takes no more requests for now (status 429)")]
    TooManyRequests,
    /// The database server answered with a status that says that nothing was carried out.
    #[error("the database server answers with status {0}: see DATABASE_URL")]
    Status(u16),
    /// No answer came, or none that can be read: it may have been carried out or not.
    #[error("the database server gave no answer that can be read: {0}")]
    Unanswered(String),
    /// SQLite refused for another reason.
    #[error("SQLite refuses (code {code}): {message}")]
    Refused {
        /// SQLite's extended result code.
        code: i32,
        /// Its sentence, which names tables and columns but no values.
        message: String,
    },
    /// The connection could not be opened again, so the statement was not sent.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Box<DriverError>),
    /// A setting of the connection did not take.
    #[error("the database was asked for {name} = {wanted} and says {found}")]
    Setting {
        /// The pragma's name.
        name: &'static str,
        /// What was asked for.
        wanted: String,
        /// What it reads back.
        found: String,
    },
    /// A column holds another kind of value than it was written with.
    #[error("a column holds {found} where {wanted} belongs")]
    Column {
        /// What belongs there.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The connection broke in another way.
    #[error("the connection to the database broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// Another file stands in the database's place than was opened.
    #[error(
        "the database file is gone from its place, or another is there: nothing more is written. Put it back, or start again"
    )]
    Replaced,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl DriverError {
    /// Whether a write that ended so may have been done all the same.
    pub(crate) fn leaves_doubt(&self) -> bool {
        match self {
            DriverError::Raised(_)
            | DriverError::Touched { .. }
            | DriverError::Busy
            // Frames of the journal are written before its commit frame; where one found no room, there is none.
            | DriverError::Full
            | DriverError::ReadOnly
            | DriverError::CannotOpen
            | DriverError::NotADatabase
            | DriverError::Forbidden(_)
            | DriverError::Unreachable(_)
            | DriverError::Setting { .. }
            | DriverError::Column { .. }
            | DriverError::Replaced
            | DriverError::Rejected { .. }
            | DriverError::Tls(_)
            | DriverError::NoConnection(_)
            | DriverError::Unauthorized
            | DriverError::TooManyRequests
            | DriverError::Status(_) => false,
            DriverError::Unanswered(_)
            | DriverError::Disk(_)
            | DriverError::Damaged
            | DriverError::Refused { .. }
            | DriverError::Broken(_)
            | DriverError::Closed => true,
        }
    }
}

/// As whom a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// To serve it: a file is one server's, which holds its lock.
    Server,
    /// To change it beside whoever serves it.
    Guest,
}

/// What a guest knows of the one server of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// There is none; one that comes later reads the database later. On a libSQL server nobody is known of.
    Absent,
    /// It has said nothing yet: it is starting.
    Silent,
    /// It has said something.
    Says {
        /// The revision that it has taken over.
        revision: i64,
        /// What else it says, as [`Store::acknowledge`](crate::Store::acknowledge) was told.
        remark: String,
    },
}

/// The open database. Knows which one it is; nobody above does, but for what is told by [`Driver::is_shared`].
#[derive(Debug)]
pub(crate) enum Driver {
    Sqlite(Sqlite),
    #[cfg(feature = "libsql")]
    Libsql(Libsql),
    #[cfg(feature = "simulation")]
    Simulated(Simulated),
}

impl Driver {
    /// Whether others write to the same database, so that memory can be behind it at any time.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Driver::Sqlite(driver) => driver.seat() == Seat::Guest,
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => true,
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => true,
        }
    }

    /// How long it is to be waited for: for another process that has a file locked, or for a server's answer.
    pub(crate) fn deadline(&self) -> Duration {
        match self {
            Driver::Sqlite(driver) => driver.busy_timeout(),
            #[cfg(feature = "libsql")]
            Driver::Libsql(driver) => driver.deadline(),
            #[cfg(feature = "simulation")]
            Driver::Simulated(driver) => driver.deadline(),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Driver::Sqlite(_) => "sqlite",
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => "libsql",
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => "simulated",
        }
    }

    /// The database file, where it is one of this machine.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Driver::Sqlite(driver) => Some(driver.path()),
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => None,
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => None,
        }
    }

    /// Runs one statement to its rows.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.read(statement).await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(driver) => driver.read(statement).await,
            #[cfg(feature = "simulation")]
            Driver::Simulated(driver) => driver.read(statement).await,
        }
    }

    /// Applies statements together or not at all.
    pub(crate) async fn write(&self, statements: Vec<Statement>) -> Result<(), DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.write(statements).await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(driver) => driver.write(statements).await,
            #[cfg(feature = "simulation")]
            Driver::Simulated(driver) => driver.write(statements).await,
        }
    }

    /// Runs a migration's text in one transaction.
    pub(crate) async fn script(&self, text: &'static str) -> Result<(), DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.script(text).await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(driver) => driver.script(text).await,
            #[cfg(feature = "simulation")]
            Driver::Simulated(driver) => driver.script(text).await,
        }
    }

    /// Leaves nothing of deleted rows behind, as far as the database lets us: a libSQL server rebuilds no file on demand.
    pub(crate) async fn tidy(&self) -> Result<(), DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.tidy().await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => Ok(()),
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => Ok(()),
        }
    }

    /// Tells guests how far everything is taken over, and a remark. On a libSQL server nobody listens: each replica asks.
    pub(crate) async fn acknowledge(
        &self,
        revision: i64,
        remark: String,
    ) -> Result<(), DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.acknowledge(revision, remark).await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => Ok(()),
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => Ok(()),
        }
    }

    /// What whoever serves the same file tells its guests.
    pub(crate) fn host(&self) -> Result<Host, DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.host(),
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => Ok(Host::Absent),
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => Ok(Host::Absent),
        }
    }

    /// Writes tables anew, each by a text of its own in one transaction, so that their old pages are wiped, and cuts the
    /// journal off. A libSQL server lets nobody at its files.
    pub(crate) async fn wipe_remains(
        &self,
        tables: &'static [&'static str],
    ) -> Result<(), DriverError> {
        match self {
            Driver::Sqlite(driver) => driver.wipe_remains(tables).await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(_) => Ok(()),
            #[cfg(feature = "simulation")]
            Driver::Simulated(_) => Ok(()),
        }
    }

    /// Ends reads and writes and lets the database go. Twice is harmless.
    pub(crate) async fn close(&self) {
        match self {
            Driver::Sqlite(driver) => driver.close().await,
            #[cfg(feature = "libsql")]
            Driver::Libsql(driver) => driver.close().await,
            #[cfg(feature = "simulation")]
            Driver::Simulated(driver) => driver.close().await,
        }
    }
}
