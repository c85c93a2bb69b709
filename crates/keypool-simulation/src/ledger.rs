//! What clients and the admin know: what they were answered, and nothing else.

use std::collections::BTreeMap;

/// What is known of something that changes are made of, by what their makers were answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known<T> {
    /// It is so since a moment.
    So(T, u64),
    /// Changes are under way, or ended in doubt: it may be any of what it was and what it was to be.
    Unsure,
}

/// A key, by what its admin was answered.
#[derive(Clone, Debug)]
pub(crate) struct KeyFacts {
    pub(crate) name: String,
    /// Whether it may be granted: active and there.
    pub(crate) usable: Known<bool>,
    /// The version of its value.
    pub(crate) version: Known<u64>,
    /// The newest version that was ever asked for.
    pub(crate) versions: u64,
    /// Its budget, unless that was changed on the way.
    pub(crate) limit: Option<i64>,
    pub(crate) window_secs: Option<i64>,
    /// Whether it is of the tier whose budgets are for life.
    pub(crate) is_of_life: bool,
    /// Whether limits or counts were changed: then the database's look is the only one.
    pub(crate) is_touched: bool,
}

/// A consumer.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerFacts {
    pub(crate) name: u64,
    pub(crate) token: String,
    /// Whether it may draw.
    pub(crate) welcome: Known<bool>,
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By the key's UUID.
    pub(crate) keys: BTreeMap<String, KeyFacts>,
    /// By the consumer's UUID.
    pub(crate) consumers: BTreeMap<String, ConsumerFacts>,
    /// Grants that were received, by the usage event's number.
    pub(crate) grants: BTreeMap<i64, Received>,
    /// Draws that may have been charged without a key reaching anybody.
    pub(crate) doubts: Vec<Doubt>,
}

/// When something was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The number that orders it among all that is asked and answered.
    pub(crate) moment: u64,
    /// By the database's clock, in milliseconds since the Unix epoch.
    pub(crate) at_ms: i64,
}

/// A draw whose outcome nobody knows.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) feature: &'static str,
    /// The consumer's UUID; none for the admin.
    pub(crate) consumer: Option<String>,
    pub(crate) asked_ms: i64,
    pub(crate) ended_ms: i64,
}

/// A grant as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) key_id: String,
    pub(crate) feature: &'static str,
    /// The consumer's UUID; none for the admin.
    pub(crate) consumer: Option<String>,
}
