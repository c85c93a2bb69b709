//! The server: accepts connections, serves requests on them, and drains when it is told to stop.

use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::task::{JoinError, JoinSet};

use crate::answer::App;
use crate::door::Door;
use crate::listener::{Listener, Listeners};

/// How the last requests ended when the server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All were answered.
    All,
    /// This many connections were cut because the time to finish was over.
    Cut(usize),
}

/// Serves the pool on these listeners until `shutdown` comes to pass; then stops accepting and lets requests in flight
/// finish, for as long as the settings allow.
///
/// The engine stays open: what comes after the last answer is the caller's to decide.
pub async fn serve(
    app: App,
    listeners: Vec<Listener>,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let mut door = Door::new(app.clone());
    let mut listeners = Listeners::new(listeners);
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = door.connections.join_next() => report(ended),
            Some(ended) = door.turned_away.join_next() => report(ended),
            accepted = listeners.accept() => match accepted {
                Ok(accepted) => door.open(accepted, &graceful),
                Err(error) => door.stay_shut(&error).await,
            },
        }
    }
    app.drain();
    drop(listeners);
    drain(door.connections, graceful, app.settings.shutdown_timeout).await
}

async fn drain(
    mut connections: JoinSet<()>,
    graceful: GracefulShutdown,
    limit: Option<Duration>,
) -> Drained {
    let finish = async {
        graceful.shutdown().await;
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    let is_done = match limit {
        Some(limit) => tokio::time::timeout(limit, finish).await.is_ok(),
        None => {
            finish.await;
            true
        }
    };
    if is_done {
        return Drained::All;
    }
    while connections.try_join_next().is_some() {}
    let cut = connections.len();
    connections.shutdown().await;
    if cut == 0 { Drained::All } else { Drained::Cut(cut) }
}

/// Requests never panic outward, so a task that did is a bug.
fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!(target: "keypool_http", "a connection ended in a panic");
    }
}
