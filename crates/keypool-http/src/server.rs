//! The server: accepts connections, serves requests on them, and drains when it is told to stop.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use keypool_engine::Engine;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

use crate::answer::App;
use crate::connection::converse;
use crate::settings::HttpSettings;
use crate::source::Source;

/// The pause after a failure to accept that is likely to last, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// How the last requests ended when the server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All were answered.
    All,
    /// This many connections were cut because the time to finish was over.
    Cut(usize),
}

/// Serves the engine on a listener until `shutdown` comes to pass; then stops accepting and lets requests in flight
/// finish, for as long as the settings allow.
///
/// The engine stays open: what comes after the last answer is the caller's to decide.
pub async fn serve(
    engine: Engine,
    listener: TcpListener,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let app = App::new(engine, &settings);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            (stream, address) = accept(&listener) => {
                let peer = Source::of(address.ip());
                connections.spawn(converse(app.clone(), stream, peer, graceful.watcher()));
            }
        }
    }
    app.drain();
    drop(listener);
    drain(connections, graceful, app.settings.shutdown_timeout).await
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

/// The next connection. A failure to accept is no reason to end.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(
                    target: "keypool_http",
                    error = &error as &dyn std::error::Error,
                    "no connection can be accepted; trying again shortly"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Requests never panic outward, so a task that did is a bug.
fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!(target: "keypool_http", "a connection ended in a panic");
    }
}
