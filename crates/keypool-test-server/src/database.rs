//! Connections to the SQLite file, and those that wait for their next use.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::clock::{self, ServerClock, UNSET};
use crate::settings::{ServerSettings, Synchronous};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 128;

/// The SQLite file.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    synchronous: Synchronous,
    busy_timeout: Duration,
    clock: Arc<ServerClock>,
    /// The last one used comes first: its caches are warm.
    idle: Mutex<Vec<Link>>,
}

/// A connection to the file whose `julianday` is that of the server's clock.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    statement_ms: Arc<AtomicI64>,
}

impl Database {
    /// Opens the file, or creates it, and puts it in WAL mode.
    pub(crate) fn open(
        settings: &ServerSettings,
        clock: Arc<ServerClock>,
    ) -> Result<Self, rusqlite::Error> {
        let database = Self {
            path: settings.path.clone(),
            synchronous: settings.synchronous,
            busy_timeout: settings.busy_timeout,
            clock,
            idle: Mutex::default(),
        };
        let first = database.connect()?;
        first.connection.pragma_update(None, "journal_mode", "WAL")?;
        database.give_back(first);
        Ok(database)
    }

    /// A connection outside any transaction.
    pub(crate) fn take(&self) -> Result<Link, rusqlite::Error> {
        let idle = self.idle.lock().expect("no thread panics while it takes a connection").pop();
        match idle {
            Some(link) => Ok(link),
            None => self.connect(),
        }
    }

    /// Rolls back what is open on a connection and keeps it for its next use.
    pub(crate) fn give_back(&self, link: Link) {
        if link.roll_back().is_ok() {
            self.idle.lock().expect("no thread panics while it takes a connection").push(link);
        }
    }

    /// Closes the connections that nobody uses.
    pub(crate) fn close_idle(&self) {
        self.idle.lock().expect("no thread panics while it takes a connection").clear();
    }

    fn connect(&self) -> Result<Link, rusqlite::Error> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "synchronous", self.synchronous.name())?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let statement_ms = Arc::new(AtomicI64::new(UNSET));
        clock::install(&connection, Arc::clone(&self.clock), Arc::clone(&statement_ms))?;
        Ok(Link { connection, statement_ms })
    }
}

impl Link {
    /// The next statement that asks for the time gets a new one.
    pub(crate) fn forget_time(&self) {
        self.statement_ms.store(UNSET, Ordering::Relaxed);
    }

    /// Rolls back the open transaction, if there is one.
    pub(crate) fn roll_back(&self) -> Result<(), rusqlite::Error> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK")
    }
}
