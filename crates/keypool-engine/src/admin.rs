//! Changes by an admin, as they are asked for.

use keypool_core::Timestamp;
use keypool_crypto::Plain;

/// A rate limit as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureLimit {
    /// Calls per window and key.
    pub rate_limit: i64,
    /// Length of the window, in seconds.
    pub window_seconds: i64,
}

impl FeatureLimit {
    /// The window's length where none is given, in seconds.
    pub const DEFAULT_WINDOW_SECONDS: i64 = 60;
}

/// A tier to be created.
#[derive(Clone, Debug)]
pub struct NewTier {
    /// Its name, unique among tiers.
    pub name: String,
    /// What people want to know about it.
    pub description: String,
    /// What it covers; at least one feature.
    pub features: Vec<(String, FeatureLimit)>,
}

/// What to change of a tier; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct TierPatch {
    /// The new description.
    pub description: Option<String>,
    /// The new features, replacing all there were.
    pub features: Option<Vec<(String, FeatureLimit)>>,
}

/// A key to be added.
#[derive(Debug)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Plain,
    /// The name of its tier.
    pub tier: String,
    /// From this moment on it is not granted.
    pub expires_at: Option<Timestamp>,
    /// Units per budget window, or for life.
    pub usage_limit: Option<i64>,
    /// Length of the budget window, in seconds; only with a limit.
    pub usage_window_seconds: Option<i64>,
    /// The text of a JSON object, kept as it is; none means `{}`.
    pub metadata: Option<String>,
    /// Further named values that travel with it.
    pub secrets: Vec<(String, Plain)>,
}

/// A consumer to be created.
#[derive(Clone, Debug)]
pub struct NewConsumer {
    /// Its name, unique among consumers.
    pub name: String,
    /// What people want to know about it.
    pub description: String,
    /// Names of the tiers that it may draw from.
    pub scopes: Vec<String>,
}
