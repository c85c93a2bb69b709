//! The driver for a libSQL database over HTTP: Turso, or a server of one's own. Knows no table of ours.
//!
//! A write is one request that the server carries out whole or not at all, and that leaves nothing open. It goes on when
//! its caller goes away. Whatever happens within the client library, a panic too, ends as an error; a request that gets no
//! answer in time is one whose outcome is not known.

mod address;
mod connections;
mod connector;
mod failure;
mod script;

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libsql::Builder;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use self::address::{DatabaseUrl, DatabaseUrlError};
use self::connections::Connections;
use self::connector::Connector;
use crate::driver::{DriverError, Row, Statement};

/// How a store on a libSQL database is opened.
#[derive(Clone, Debug)]
pub struct LibsqlSettings {
    /// Where the server is.
    pub url: DatabaseUrl,
    /// What it asks of its clients, if anything.
    pub auth_token: Option<SecretString>,
    /// Certificates (PEM) of those who may vouch for the server; those of webpki-roots where there is none.
    pub ca_file: Option<PathBuf>,
    /// The most connections to have open.
    pub connections: NonZeroUsize,
    /// The longest that a request may take. One that reads or migrates a whole database may take [`PATIENCE`] times that.
    pub deadline: Duration,
    /// How far the time of a batch's sending may be off the database's clock; `None` is however far.
    pub clock_leeway: Option<Duration>,
}

/// How many times the deadline a migration may take, or a read of many rows.
pub const PATIENCE: u32 = 12;

/// An open libSQL database.
pub(crate) struct Libsql {
    connections: Arc<Connections>,
    deadline: Duration,
    /// Requests under way, which end with the driver.
    requests: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Libsql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libsql").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Libsql {
    /// Prepares to call the server; nothing is sent yet.
    pub(crate) async fn new(settings: &LibsqlSettings) -> Result<Libsql, DriverError> {
        let ca_file = settings.ca_file.as_deref();
        let connector = Connector::new(&settings.url, ca_file);
        let connector = connector.map_err(|error| DriverError::Tls(Box::new(error)))?;
        let token = settings.auth_token.as_ref().map_or("", |token| token.expose_secret());
        let database = Builder::new_remote(settings.url.base(), token.to_owned())
            .connector(connector)
            .build()
            .await
            .map_err(failure::driver_error)?;
        Ok(Libsql {
            connections: Arc::new(Connections::new(database, settings.connections)),
            deadline: settings.deadline,
            requests: Mutex::default(),
        })
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Runs one statement to its rows.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        let connections = Arc::clone(&self.connections);
        let longest = if statement.is_long { self.patience() } else { self.deadline };
        self.request(async move { connections.read(statement, longest).await }).await
    }

    /// Applies statements together or not at all, in one request.
    pub(crate) async fn write(&self, mut write: Vec<Statement>) -> Result<(), DriverError> {
        let connections = Arc::clone(&self.connections);
        let (deadline, patience) = (self.deadline, self.patience());
        match write.pop() {
            None => Ok(()),
            Some(only) if write.is_empty() => {
                self.request(async move { connections.execute(only, deadline).await }).await
            }
            Some(last) => {
                write.push(last);
                let text = script::transaction(&write);
                self.request(async move { connections.run(&text, patience).await }).await
            }
        }
    }

    /// Runs a migration's text in one transaction, under the lock that writers wait for.
    pub(crate) async fn script(&self, text: &'static str) -> Result<(), DriverError> {
        let connections = Arc::clone(&self.connections);
        let (text, patience) = (script::enclosed(text), self.patience());
        self.request(async move { connections.run(&text, patience).await }).await
    }

    fn patience(&self) -> Duration {
        self.deadline.saturating_mul(PATIENCE)
    }

    /// Lets no further request in, waits for those under way and closes the connections. Twice is harmless.
    pub(crate) async fn close(&self) {
        self.connections.close();
        let mut under_way = std::mem::take(&mut *self.requests());
        while under_way.join_next().await.is_some() {}
    }

    /// Runs a request in a task of its own: it goes on when its caller goes away, and a panic ends it alone.
    async fn request<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, DriverError>> + Send + 'static,
    ) -> Result<T, DriverError> {
        let (answer, outcome) = oneshot::channel();
        let request = async move {
            // Whoever asked may be gone.
            let _ = answer.send(request.await);
        };
        {
            let mut requests = self.requests();
            // A task that ended by a panic has dropped its answer: its caller knows.
            while requests.try_join_next().is_some() {}
            requests.spawn(request);
        }
        let lost = || DriverError::Unanswered("the client library broke off".to_owned());
        outcome.await.unwrap_or_else(|_| Err(lost()))
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
