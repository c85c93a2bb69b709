//! The connections that read beside the writer. Owns how many there are and which are idle.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::Site;
use super::connection::{Connection, Purpose};
use crate::driver::{DriverError, Row, Statement};

/// How many reads run at a time; further ones wait for their turn.
const AT_MOST: usize = 4;

/// Reading connections, opened when they are needed.
pub(crate) struct Readers {
    site: Site,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    pub(crate) fn new(site: Site) -> Readers {
        Readers { site, idle: Mutex::new(Vec::new()), turns: Semaphore::new(AT_MOST) }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The file that they read.
    pub(crate) fn path(&self) -> &Path {
        &self.site.path
    }

    /// Runs a statement to its rows. A read that fails or is dropped takes its connection with it.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        let _turn = self.turns.acquire().await.map_err(|_| DriverError::Closed)?;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(&self.site, Purpose::Read).await?,
        };
        let rows = connection.read(statement).await?;
        if !self.turns.is_closed() {
            self.idle().push(connection);
        }
        Ok(rows)
    }

    /// Lets no further read in and closes the connections.
    pub(crate) async fn close(&self) {
        self.turns.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            connection.close().await;
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("site", &self.site).finish_non_exhaustive()
    }
}
