//! What keys, tiers and callers are allowed, as plain values.

use crate::{Period, TierNo, Timestamp};

/// How often a key may be granted for a feature: calls per window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Grants per window; 0 grants nothing.
    pub calls: u64,
    /// The window's length; the first grant after the last window ended opens the next.
    pub window: Period,
}

/// How often a key may be granted in all, over all features.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Grants per window or for life; 0 grants nothing.
    pub units: u64,
    /// The window's length; `None` is for life.
    pub window: Option<Period>,
}

/// What a key may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyTerms {
    /// The tier whose features the key serves.
    pub tier: TierNo,
    /// Whether the key may be granted at all.
    pub active: bool,
    /// The first millisecond at which the key may no longer be granted.
    pub expires_at: Option<Timestamp>,
    /// The key's budget; `None` is unlimited.
    pub budget: Option<Budget>,
}

/// The tiers that a caller may draw from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access<'a> {
    /// Every tier there is.
    All,
    /// These tiers, in any order; unknown ones cover nothing.
    Tiers(&'a [TierNo]),
}
