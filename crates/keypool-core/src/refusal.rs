//! Why a draw or a change was refused: values, not failures.

use crate::{TierNo, Timestamp};

/// Why a draw got no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No tier that the caller may draw from covers the feature.
    NotCovered,
    /// Every usable key is at a limit, and time heals one of them.
    Spent {
        /// What holds longest the key that is back first.
        limit: Limit,
        /// The first millisecond at which the same draw would be a grant.
        until: Timestamp,
    },
    /// The feature is covered, but time alone brings no key back: there is none, or all are inactive, expired, or at
    /// a limit that does not heal before they expire.
    NoUsableKey,
}

/// The limit that binds a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Calls per window for one feature.
    Rate,
    /// Units of the key over all features.
    Budget,
}

/// How a key stands for a feature: whether it can be granted, and if not, what keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Condition {
    /// It can be granted.
    Usable,
    /// Its rate limit holds it for now, longer than anything else does.
    RateLimited,
    /// Its budget holds it for now.
    BudgetSpent,
    /// Time alone does not bring it back: it is inactive, expired, or at a limit that does not heal before it expires.
    Unusable,
}

/// Refuses to remove a tier, because keys are still in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("tier {} still holds {keys} key(s)", .tier.get())]
pub struct TierInUse {
    /// The tier.
    pub tier: TierNo,
    /// How many keys it holds.
    pub keys: usize,
}
