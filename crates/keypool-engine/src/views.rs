//! What the engine shows of the pool: plain data for lists and answers, never a value, a secret or a token (but the
//! one that was just issued).

use std::sync::Arc;

use keypool_core::Timestamp;
use keypool_crypto::Token;

use crate::DrawId;

/// One feature that a tier covers, with its rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureView {
    /// The feature's name.
    pub name: Arc<str>,
    /// Calls per window and key.
    pub rate_limit: i64,
    /// Length of the window, in seconds.
    pub window_seconds: i64,
}

/// A tier and the features it covers, these in order of name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierView {
    /// The tier's UUID.
    pub id: Arc<str>,
    /// The tier's name, unique among tiers.
    pub name: Arc<str>,
    /// What people wrote about it.
    pub description: Arc<str>,
    /// What it covers.
    pub features: Vec<FeatureView>,
}

/// What one key has used of one feature's rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUsage {
    /// The feature's name.
    pub feature: Arc<str>,
    /// Calls in the window that is open now.
    pub used: u64,
    /// Calls that a window allows.
    pub limit: i64,
    /// Length of the window, in seconds.
    pub window_seconds: i64,
}

/// A key with its live counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The key's UUID.
    pub id: Arc<str>,
    /// The key's name; several keys may bear the same.
    pub name: Arc<str>,
    /// UUID of its tier.
    pub tier_id: Arc<str>,
    /// Name of its tier.
    pub tier: Arc<str>,
    /// Whether it may be granted.
    pub is_active: bool,
    /// From this moment on it is not granted.
    pub expires_at: Option<Timestamp>,
    /// Units per budget window, or for life.
    pub usage_limit: Option<i64>,
    /// Units used in the budget window that is open now, or for life.
    pub usage_count: u64,
    /// Length of the budget window, in seconds; none means for life.
    pub usage_window_seconds: Option<i64>,
    /// When the budget window that is open now ends.
    pub usage_resets_at: Option<Timestamp>,
    /// Metadata: the text of a JSON object, as it was given.
    pub metadata: Arc<str>,
    /// Names of its secrets, in order.
    pub secret_names: Vec<Arc<str>>,
    /// Its rate limits, in order of the features' names.
    pub usage: Vec<FeatureUsage>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A consumer, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerView {
    /// The consumer's UUID.
    pub id: Arc<str>,
    /// The consumer's name, unique among consumers.
    pub name: Arc<str>,
    /// What people wrote about it.
    pub description: Arc<str>,
    /// Whether its token is accepted.
    pub is_active: bool,
    /// Names of the tiers that it may draw from, in order.
    pub scopes: Vec<Arc<str>>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A consumer that was just created, with the token that is shown this once.
#[derive(Debug)]
pub struct AddedConsumer {
    /// The consumer's UUID.
    pub id: Arc<str>,
    /// The consumer's name.
    pub name: Arc<str>,
    /// Its bearer token.
    pub token: Token,
}

/// A scope that was just granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeView {
    /// The consumer's UUID.
    pub consumer_id: Arc<str>,
    /// The tier's name.
    pub tier: Arc<str>,
}

/// Which usage events to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// At most this many.
    pub limit: u32,
    /// Only those of the key with this UUID.
    pub key: Option<String>,
    /// Only those older than this one.
    pub before: Option<DrawId>,
}

/// A usage event: the audit row of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageView {
    /// Names the event.
    pub draw_id: DrawId,
    /// UUID of the key that was granted, whether or not it still exists.
    pub key_id: String,
    /// Name of that key; empty where it was never known.
    pub key_name: String,
    /// UUID of the consumer, or `admin`.
    pub consumer_id: String,
    /// Name of the consumer; empty where it was never known.
    pub consumer_name: String,
    /// The feature asked for.
    pub feature: String,
    /// When it was granted, to the millisecond.
    pub created_at: Timestamp,
}

/// The state of the pool as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Number of keys.
    pub pool_size: usize,
    /// Whether new values are sealed.
    pub encryption: bool,
    /// UUIDs of keys whose value or secrets are sealed but damaged; they are not granted.
    pub damaged: Vec<Arc<str>>,
    /// By how much the wall clock stands ahead of the engine's time, where that is too far to be followed.
    pub clock_ahead: Option<std::time::Duration>,
}
