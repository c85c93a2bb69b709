//! What is counted of connections and tokens, for whoever renders metrics. Nothing here waits or locks.

use keypool_engine::meters::{Counted, Counters, Kind};

/// A token that was refused, by what its sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefused {
    /// 401.
    Unauthorized,
    /// 429: there were too many before it.
    Throttled,
}

impl Kind for TokenRefused {
    const ALL: &'static [Self] = &[Self::Unauthorized, Self::Throttled];

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
    /// It could not be accepted, as for want of file descriptors.
    NotAccepted,
}

impl Kind for ConnectionEvent {
    const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::RefusedInAll,
        Self::RefusedOfAddress,
        Self::GivenUp,
        Self::NotAccepted,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

/// Everything that is counted here. Counts only grow.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) connections: Counters<ConnectionEvent>,
    pub(crate) tokens: Counters<TokenRefused>,
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
}

impl Meters {
    pub(crate) fn read(&self, connections_open: usize) -> HttpMetrics {
        HttpMetrics {
            connections_open,
            connections: self.connections.read(),
            tokens_refused: self.tokens.read(),
        }
    }
}
