//! Everything that a pool is loaded from, as of one moment, or what of it was changed since another. Owns the shapes of
//! the rows; `load` reads them.

mod load;

use std::fmt;

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, TierNo, Timestamp};

pub use self::load::read_snapshot;
pub(crate) use self::load::{counter_row, load_since, load_snapshot};

/// How much of a pool a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What was changed after a revision.
    Since,
}

/// The pool as the database has it. Tombstones are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How much of the pool it holds.
    pub extent: Extent,
    /// The pool's revision.
    pub revision: i64,
    /// Every feature that was ever named, by number; or those that were named since.
    pub features: Vec<(FeatureNo, String)>,
    /// The tiers, by number. A tier that is gone but still holds keys taken over is here without a name.
    pub tiers: Vec<TierRow>,
    /// The keys, by number.
    pub keys: Vec<KeyRow>,
    /// The consumers, by number, without the admin.
    pub consumers: Vec<ConsumerRow>,
    /// What was there before and is no more; empty where the snapshot is whole.
    pub gone: Gone,
    /// The highest numbers ever given.
    pub last: LastNumbers,
    /// The newest grant on record.
    pub latest_grant: Option<GrantId>,
    /// The last grants of consumers, where the snapshot is whole. A consumer may be named more than once.
    pub uses: Vec<(ConsumerNo, GrantId)>,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Tiers.
    pub tiers: Vec<TierNo>,
    /// Keys.
    pub keys: Vec<KeyNo>,
    /// Consumers.
    pub consumers: Vec<ConsumerNo>,
}

/// The highest number ever given of each kind, tombstones included; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastNumbers {
    /// Of the tiers.
    pub tier: i64,
    /// Of the features.
    pub feature: i64,
    /// Of the keys.
    pub key: i64,
    /// Of the consumers.
    pub consumer: i64,
}

/// What a tier says of a feature that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierFeature {
    /// Calls in a window, for each key; 0 grants nothing.
    pub rate_limit: i64,
    /// The window's length, in seconds.
    pub window_secs: i64,
}

/// A tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRow {
    /// Its number.
    pub no: TierNo,
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The features that it covers, by number.
    pub features: Vec<(FeatureNo, TierFeature)>,
}

/// A key. Prints no value.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its number.
    pub no: KeyNo,
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: TierNo,
    /// Its value, sealed or plain.
    pub value: String,
    /// Whether it may be granted at all.
    pub active: bool,
    /// The moment from which it is not granted any more.
    pub expires_at: Option<Timestamp>,
    /// The units of its budget, in a window or for life.
    pub usage_limit: Option<i64>,
    /// The length of its budget's window, in seconds; `None` is for life.
    pub usage_window_secs: Option<i64>,
    /// What is used of the budget in the window under way; every grant counts, limited or not.
    pub usage_count: i64,
    /// The start of that window.
    pub usage_window_start: Option<Timestamp>,
    /// A JSON object, as it came in.
    pub metadata: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its secrets by name, sealed or plain.
    pub secrets: Vec<(String, String)>,
    /// Its rate counters.
    pub counters: Vec<CounterRow>,
}

/// What a key has served of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRow {
    /// The feature.
    pub feature: FeatureNo,
    /// The start of the latest window; `None` if none was opened yet.
    pub window_start: Option<Timestamp>,
    /// Grants in it.
    pub used: i64,
    /// The latest grant of the key for the feature.
    pub last_grant: Option<GrantId>,
}

/// A consumer. Prints no token digest.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsumerRow {
    /// Its number.
    pub no: ConsumerNo,
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Whether its token is accepted.
    pub active: bool,
    /// The lower-case hex of its token's SHA-256; a database taken over may hold another text, which no token matches.
    pub token_hash: String,
    /// When that token was issued.
    pub token_issued_at: Timestamp,
    /// The tokens before it.
    pub former_tokens: Vec<FormerToken>,
    /// The moment from which it is nobody.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The tiers that it may draw from.
    pub scopes: Vec<TierNo>,
}

/// A consumer's token of before. Prints no digest.
#[derive(Clone, PartialEq, Eq)]
pub struct FormerToken {
    /// The hex of its SHA-256, as in [`ConsumerRow::token_hash`].
    pub token_hash: String,
    /// The moment from which it is not accepted any more.
    pub until: Timestamp,
}

impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRow")
            .field("no", &self.no)
            .field("id", &self.id)
            .field("name", &self.name)
            .field("tier", &self.tier)
            .field("usage_count", &self.usage_count)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FormerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerToken").field("until", &self.until).finish_non_exhaustive()
    }
}

impl fmt::Debug for ConsumerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerRow")
            .field("no", &self.no)
            .field("id", &self.id)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
