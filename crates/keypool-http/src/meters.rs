//! What is counted of connections, tokens and requests since the start. Nothing here waits or locks.

mod requests;

use keypool_engine::meters::{Counted, Counters, Kind};

use self::requests::Requests;
pub use self::requests::{RequestReading, StatusClass};

/// A request whose right to its path was not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefused {
    /// 401: it has no token.
    Missing,
    /// 401: nobody holds its token, or not any more, or it can't be read.
    Unknown,
    /// 403: its token is known, but not for this path.
    Forbidden,
    /// 429: there were too many without a valid token before it.
    Throttled,
}

impl Kind for TokenRefused {
    const ALL: &'static [Self] = &[Self::Missing, Self::Unknown, Self::Forbidden, Self::Throttled];

    fn index(self) -> usize {
        self as usize
    }
}

/// What became of a connection at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// It came in.
    Accepted,
    /// It was refused, as there were too many in all.
    RefusedInAll,
    /// It was refused, as there were too many of its address.
    RefusedOfAddress,
    /// It had waited for a request, and gave way to another.
    GivenUp,
    /// Keys were not agreed on: its peer speaks no TLS, or not in time.
    NoHandshake,
    /// It could not be accepted, as for want of file descriptors.
    NotAccepted,
}

impl Kind for ConnectionEvent {
    const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::RefusedInAll,
        Self::RefusedOfAddress,
        Self::GivenUp,
        Self::NoHandshake,
        Self::NotAccepted,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

/// Everything that is counted here; the engine counts draws and commits. Counts only grow.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) connections: Counters<ConnectionEvent>,
    pub(crate) tokens: Counters<TokenRefused>,
    pub(crate) requests: Requests,
}

/// What was counted so far.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Connections that are open now.
    pub connections_open: usize,
    /// What became of connections at the door.
    pub connections: Counted<ConnectionEvent>,
    /// Tokens that were refused.
    pub tokens_refused: Counted<TokenRefused>,
    /// Requests that were answered, by path and method.
    pub requests: Vec<RequestReading>,
}

impl Meters {
    pub(crate) fn read(&self, connections_open: usize) -> HttpMetrics {
        HttpMetrics {
            connections_open,
            connections: self.connections.read(),
            tokens_refused: self.tokens.read(),
            requests: self.requests.read(),
        }
    }
}
