//! A stream's state: a connection of its own, its transaction, its stored texts; and how it runs a statement.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Row, Statement};

use crate::core::Core;
use crate::database::{Database, Link};
use crate::reply::Effect;
use crate::sql_error::SqlError;
use crate::statement::{self, Kind};
use crate::wire::{Stmt, Text};
use crate::write_lock::{Patience, WriteHold};

/// Where a statement's rows go.
pub(crate) trait Sink {
    /// The columns are known; rows follow.
    fn begin(&mut self, statement: &Statement<'_>);
    /// A row with this many columns.
    fn row(&mut self, row: &Row<'_>, columns: usize) -> Result<(), SqlError>;
}

/// The state of a stream. Dropped, it rolls back its transaction, hands back its connection and frees the lock.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    database: Arc<Database>,
    link: Option<Link>,
    hold: Option<WriteHold>,
    stored: HashMap<i32, String>,
    /// The transaction was rolled back behind the stream's back; its next statement is told.
    is_stolen: bool,
    /// A pragma may have changed the connection, which is then good for this stream only.
    is_altered: bool,
}

impl Session {
    pub(crate) fn new(id: u64, database: Arc<Database>) -> Self {
        Self {
            id,
            database,
            link: None,
            hold: None,
            stored: HashMap::new(),
            is_stolen: false,
            is_altered: false,
        }
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.connection.is_autocommit())
    }

    /// Rolls back the transaction and frees the lock.
    pub(crate) fn lose_transaction(&mut self) {
        if self.is_autocommit() {
            return;
        }
        // Where even that fails, the connection is closed, which rolls back as well.
        self.link.take_if(|link| link.roll_back().is_err());
        self.hold = None;
        self.is_stolen = true;
    }

    pub(crate) fn store(&mut self, sql_id: i32, sql: &str) {
        self.stored.insert(sql_id, sql.to_owned());
    }

    pub(crate) fn forget(&mut self, sql_id: i32) {
        self.stored.remove(&sql_id);
    }

    /// The text of a statement: given, or stored before.
    pub(crate) fn text(
        &self,
        sql: Option<&Text<'_>>,
        sql_id: Option<i32>,
    ) -> Result<String, SqlError> {
        match (sql, sql_id) {
            (Some(sql), None) => Ok(sql.as_str().to_owned()),
            (None, Some(sql_id)) => self.stored.get(&sql_id).cloned().ok_or_else(|| {
                SqlError::new("SQL_NOT_FOUND", format!("SQL text {sql_id} was not stored"))
            }),
            (Some(_), Some(_)) | (None, None) => {
                Err(SqlError::new("SQL_INVALID", "one of `sql` and `sql_id` must be given"))
            }
        }
    }

    /// Executes one statement to its end.
    ///
    /// # Errors
    ///
    /// What SQLite says; `TRANSACTION_TIMEOUT` once after the transaction was stolen; `SQLITE_BUSY`.
    pub(crate) fn execute(
        &mut self,
        core: &Core,
        stmt: &Stmt<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Effect, SqlError> {
        match (&stmt.sql, stmt.sql_id) {
            (Some(sql), None) => self.run(core, sql.as_str(), Some(stmt), sink),
            (sql, sql_id) => {
                let sql = self.text(sql.as_ref(), sql_id)?;
                self.run(core, &sql, Some(stmt), sink)
            }
        }
    }

    /// Executes one statement after the other until one fails.
    ///
    /// # Errors
    ///
    /// Those of [`Session::execute`].
    pub(crate) fn sequence(
        &mut self,
        core: &Core,
        sql: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), SqlError> {
        for statement in statement::split(sql) {
            self.run(core, statement, None, sink)?;
        }
        Ok(())
    }

    /// Prepares a statement, without executing it.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub(crate) fn describe(
        &mut self,
        sql: &str,
        then: impl FnOnce(&Statement<'_>),
    ) -> Result<(), SqlError> {
        statement::judge(sql)?;
        let link = Self::link(&mut self.link, &self.database)?;
        then(&*link.connection.prepare_cached(sql)?);
        Ok(())
    }

    fn run(
        &mut self,
        core: &Core,
        sql: &str,
        stmt: Option<&Stmt<'_>>,
        sink: &mut dyn Sink,
    ) -> Result<Effect, SqlError> {
        if std::mem::take(&mut self.is_stolen) {
            return Err(SqlError::transaction_timeout());
        }
        let kind = statement::judge(sql)?;
        self.is_altered |= kind == Kind::Pragma;
        let had_hold = self.hold.is_some();
        let outcome = self.step(core, sql, kind, stmt, sink);
        let has_lost = !had_hold && outcome.as_ref().is_err_and(SqlError::is_busy);
        if has_lost || self.is_autocommit() {
            self.hold = None;
        }
        outcome
    }

    fn step(
        &mut self,
        core: &Core,
        sql: &str,
        kind: Kind,
        stmt: Option<&Stmt<'_>>,
        sink: &mut dyn Sink,
    ) -> Result<Effect, SqlError> {
        // Who waits for the lock first gets the connection that wrote last, whose cache is still good.
        if self.link.is_none() && matches!(kind, Kind::Insert | Kind::Change) {
            Self::hold(&mut self.hold, core, self.id)?;
        }
        let sql = if kind == Kind::BeginReadOnly { "BEGIN" } else { sql };
        let link = Self::link(&mut self.link, &self.database)?;
        link.forget_time();
        let connection = &link.connection;
        let mut statement = connection.prepare_cached(sql)?;
        if let Some(stmt) = stmt {
            bind(&mut statement, stmt)?;
        }
        if !statement.readonly() {
            Self::hold(&mut self.hold, core, self.id)?;
        }
        let changes_before = connection.total_changes();
        let is_quiet = stmt.is_some_and(|stmt| stmt.want_rows == Some(false));
        let columns = statement.column_count();
        let mut has_begun = false;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !has_begun {
                // Only now, since the first step may have prepared the statement anew.
                sink.begin(row.as_ref());
                has_begun = true;
            }
            if !is_quiet {
                sink.row(row, columns)?;
            }
        }
        drop(rows);
        if !has_begun {
            sink.begin(&statement);
        }
        let has_changed = connection.total_changes() != changes_before;
        Ok(Effect {
            affected_rows: if has_changed { connection.changes() } else { 0 },
            last_rowid: (kind == Kind::Insert).then(|| connection.last_insert_rowid()),
        })
    }

    fn link<'a>(link: &'a mut Option<Link>, database: &Database) -> Result<&'a Link, SqlError> {
        if link.is_none() {
            *link = Some(database.take()?);
        }
        link.as_ref().ok_or_else(SqlError::stream_closed)
    }

    fn hold(hold: &mut Option<WriteHold>, core: &Core, id: u64) -> Result<(), SqlError> {
        if hold.is_some() {
            return Ok(());
        }
        let patience = Patience {
            busy_timeout: core.settings.busy_timeout,
            lock_timeout: core.settings.lock_timeout,
        };
        let taken = core.write_lock.acquire(id, patience, |holder| core.streams.steal(holder));
        *hold = Some(taken.ok_or_else(SqlError::busy)?);
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match self.link.take() {
            Some(link) if self.is_altered => drop(link),
            Some(link) => self.database.give_back(link),
            None => {}
        }
        // The hold goes after the rollback, or the next writer would find SQLite locked.
        self.hold = None;
    }
}

/// Binds arguments by position, or by name with or without its sign.
fn bind(statement: &mut Statement<'_>, stmt: &Stmt<'_>) -> Result<(), SqlError> {
    let expected = statement.parameter_count();
    let given = stmt.args.len() + stmt.named_args.len();
    if !stmt.args.is_empty() && !stmt.named_args.is_empty() {
        return Err(SqlError::new(
            "ARGS_BOTH_POSITIONAL_AND_NAMED",
            "Specifying both positional and named arguments is not supported",
        ));
    }
    if given > expected {
        let what = format!("too many parameters, expected {expected} found {given}");
        return Err(SqlError::wrong_arguments(what));
    }
    for index in 1..=expected {
        let name = statement.parameter_name(index);
        let named = name.and_then(|name| {
            let is_it = |given: &str| given == name || name.get(1..) == Some(given);
            stmt.named_args.iter().find(|argument| is_it(argument.name.as_str()))
        });
        let value = match named {
            Some(argument) => Some(&argument.value),
            None => stmt.args.get(index - 1),
        };
        let Some(value) = value else {
            let parameter = name.map_or_else(|| index.to_string(), str::to_owned);
            let what = format!("value for parameter {parameter} not found");
            return Err(SqlError::wrong_arguments(what));
        };
        let value: ToSqlOutput<'_> = value.to_sql()?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}
