//! The server: a port, its sockets, and their end.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::answer::answer;
use crate::core::Core;
use crate::counts::Counts;
use crate::faults::Faults;
use crate::settings::ServerSettings;
use crate::tls::{IdentityError, acceptor};

/// Threads that serve sockets; statements run on others.
const THREADS: usize = 2;

/// A libSQL server on a port of 127.0.0.1, on threads of its own. Dropped, it stops.
pub struct TestServer {
    core: Arc<Core>,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
    serving: Option<Serving>,
    /// None only while this is dropped.
    runtime: Option<Runtime>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There are no threads for it.
    #[error("no threads for the server")]
    Threads(#[source] io::Error),
    /// The port is not to be had.
    #[error("the server cannot listen")]
    Listen(#[source] io::Error),
    /// SQLite does not open the file.
    #[error("the server's database cannot be opened")]
    Open(#[from] rusqlite::Error),
    /// The identity does not serve TLS.
    #[error("the server's identity is of no use")]
    Identity(#[from] IdentityError),
}

#[derive(Debug)]
struct Serving {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl TestServer {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, the identity is of no use, or threads or ports are lacking.
    pub async fn start(settings: ServerSettings) -> Result<Self, StartError> {
        let tls = settings.tls.as_ref().map(acceptor).transpose()?;
        let mut server = Self {
            core: Arc::new(Core::open(settings)?),
            tls,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            serving: None,
            runtime: Some(
                Builder::new_multi_thread()
                    .worker_threads(THREADS)
                    .thread_name("libsql-test-server")
                    .enable_all()
                    .build()
                    .map_err(StartError::Threads)?,
            ),
        };
        server.serve().await?;
        Ok(server)
    }

    /// Where clients find it: `http://127.0.0.1:port`, or `https://localhost:port`.
    pub fn url(&self) -> String {
        let port = self.address.port();
        match self.tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// The knobs for its faults and its clock.
    pub fn faults(&self) -> Faults {
        self.core.faults.clone()
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.core.counts.clone()
    }

    /// Closes its sockets, rolls back what is open and drops all streams. Requests that it acts on are carried through,
    /// but not answered; what a fault has put off is not acted on.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            // Where the task is gone already there is nothing to stop.
            let _ = serving.stop.send(());
            let _ = serving.ended.await;
        }
    }

    /// Stops it and starts it again on the same port and file.
    ///
    /// # Errors
    ///
    /// The port is not to be had again.
    pub async fn restart(&mut self) -> Result<(), StartError> {
        self.stop().await;
        self.serve().await
    }

    async fn serve(&mut self) -> Result<(), StartError> {
        let runtime = self.runtime.as_ref().expect("the runtime lives as long as the server");
        let address = self.address;
        let listening = runtime.spawn(async move { TcpListener::bind(address).await });
        let listener =
            listening.await.expect("listening does not panic").map_err(StartError::Listen)?;
        self.address = listener.local_addr().map_err(StartError::Listen)?;
        let (stop, stopped) = oneshot::channel();
        let task = serve(Arc::clone(&self.core), self.tls.clone(), listener, stopped);
        self.serving = Some(Serving { stop, ended: runtime.spawn(task) });
        Ok(())
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Accepts sockets until it is told to stop, then closes all.
async fn serve(
    core: Arc<Core>,
    tls: Option<TlsAcceptor>,
    listener: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut conversations = JoinSet::new();
    let mut expiry = tokio::time::interval(expiry_interval(core.settings.stream_idle));
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = expiry.tick() => core.streams.expire_idle(core.settings.stream_idle),
            Some(_) = conversations.join_next() => {}
            Ok((socket, _)) = listener.accept() => {
                core.counts.count_socket();
                conversations.spawn(converse(Arc::clone(&core), tls.clone(), socket));
            }
        }
    }
    drop(listener);
    conversations.shutdown().await;
    core.quiesce().await;
}

/// How often streams are looked at: often enough that none outlives its time by much.
fn expiry_interval(stream_idle: Duration) -> Duration {
    (stream_idle / 10).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

async fn converse(core: Arc<Core>, tls: Option<TlsAcceptor>, socket: TcpStream) {
    // Where the peer is gone, the first read says so.
    let _ = socket.set_nodelay(true);
    match tls {
        None => serve_connection(core, socket).await,
        Some(tls) => {
            if let Ok(socket) = tls.accept(socket).await {
                serve_connection(core, socket).await;
            }
        }
    }
}

/// Serves all requests of one connection. One that ends early is the client's business.
async fn serve_connection(core: Arc<Core>, socket: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(move |request| answer(Arc::clone(&core), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}
