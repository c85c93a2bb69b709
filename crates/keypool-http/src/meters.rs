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

/// Everything that is counted here. Counts only grow.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) tokens: Counters<TokenRefused>,
}

/// What was counted so far.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Tokens that were refused.
    pub tokens_refused: Counted<TokenRefused>,
}

impl Meters {
    pub(crate) fn read(&self) -> HttpMetrics {
        HttpMetrics { tokens_refused: self.tokens.read() }
    }
}
