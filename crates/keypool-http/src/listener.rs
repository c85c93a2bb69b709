//! Where connections come in: TCP or Unix sockets that listen, and what they bring.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::source::Source;
use crate::stream::Stream;
use crate::tls::Tls;

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// On an address.
    Tcp(TcpListener),
    /// On an address, for peers that speak TLS.
    Tls(TcpListener, Tls),
    /// In the file system: its peers have no address.
    Unix(UnixListener),
}

/// A connection that came in.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Carrier,
    pub(crate) peer: Source,
}

/// A stream as it came in.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// It may be spoken on.
    Open(Stream),
    /// Keys are to be agreed on first.
    Sealed(TcpStream, Tls),
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
                let (stream, peer) = tcp(ready!(listener.poll_accept(cx))?);
                let stream = Carrier::Open(Stream::Tcp(stream));
                Poll::Ready(Ok(Accepted { stream, peer }))
            }
            Self::Tls(listener, tls) => {
                let (stream, peer) = tcp(ready!(listener.poll_accept(cx))?);
                Poll::Ready(Ok(Accepted { stream: Carrier::Sealed(stream, tls.clone()), peer }))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                let stream = Carrier::Open(Stream::Unix(stream));
                Poll::Ready(Ok(Accepted { stream, peer: Source::UnixSocket }))
            }
        }
    }
}

fn tcp((stream, address): (TcpStream, SocketAddr)) -> (TcpStream, Source) {
    if let Err(error) = stream.set_nodelay(true) {
        // The peer is gone; the first read will say so.
        tracing::debug!(
            target: "keypool_http",
            error = &error as &dyn std::error::Error,
            "TCP_NODELAY was refused"
        );
    }
    (stream, Source::of(address.ip()))
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
