//! Where connections come in: TCP or Unix sockets that listen, and what they bring.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::source::Source;
use crate::stream::Stream;

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// On an address.
    Tcp(TcpListener),
    /// In the file system: its peers have no address.
    Unix(UnixListener),
}

/// A connection that came in.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: Source,
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok(Accepted::tcp(stream, address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok(Accepted { stream: Stream::Unix(stream), peer: Source::UnixSocket }))
            }
        }
    }
}

impl Accepted {
    fn tcp(stream: TcpStream, address: SocketAddr) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            // The peer is gone; the first read will say so.
            tracing::debug!(
                target: "keypool_http",
                error = &error as &dyn std::error::Error,
                "TCP_NODELAY was refused"
            );
        }
        Self { stream: Stream::Tcp(stream), peer: Source::of(address.ip()) }
    }
}

/// All sockets that listen.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    /// Which is asked first: not always the same, so that one that is never empty holds up no other.
    first: usize,
}

impl Listeners {
    /// Accepts from all of them.
    pub(crate) fn new(all: Vec<Listener>) -> Self {
        Self { all, first: 0 }
    }

    /// The next connection of any of them.
    ///
    /// # Errors
    ///
    /// It can't be accepted, and the next one likely neither.
    pub(crate) async fn accept(&mut self) -> io::Result<Accepted> {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Err(error) if concerns_one_connection(&error) => {}
                accepted => return accepted,
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        self.first = (self.first + 1) % self.all.len().max(1);
        let (behind, before) = self.all.split_at(self.first);
        for listener in before.iter().chain(behind) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
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
