//! Who asks: the admin or one consumer.

use keypool_core::ConsumerNo;
use keypool_crypto::TokenTag;

/// Whom a bearer token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The holder of an admin token: draws from every tier, and may change the pool.
    Admin,
    /// A consumer: draws from the tiers in its scope, for as long as the token is accepted.
    Consumer {
        /// Its number.
        number: ConsumerNo,
        /// The token that it came with.
        token: TokenTag,
    },
}

impl Caller {
    /// The number under which the caller's usage events are recorded.
    pub(crate) const fn number(self) -> ConsumerNo {
        match self {
            Self::Admin => ConsumerNo::new(0),
            Self::Consumer { number, .. } => number,
        }
    }
}
