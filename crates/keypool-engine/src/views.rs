//! What the engine shows of the pool: plain data for lists and answers, never a value, a secret or a token (but the
//! one that was just issued).

use std::ops::Bound;
use std::sync::Arc;

use keypool_core::{ConsumerNo, KeyNo, TierNo, Timestamp};
use keypool_crypto::Token;

use crate::live::Live;
use crate::roster::{ConsumerEntry, KeyEntry, TierEntry};

/// Tiers or consumers that are looked at in one go.
const LOOKED_AT_AT_ONCE: usize = 64;

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

/// A key that was just added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedKey {
    /// The key.
    pub key: KeyView,
    /// UUID of the oldest key that holds the same value, be it one that was added just before it by the same call.
    pub duplicate_of: Option<Arc<str>>,
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
    /// Whether its tokens are accepted.
    pub is_active: bool,
    /// From this moment on they are not.
    pub expires_at: Option<Timestamp>,
    /// Names of the tiers that it may draw from, in order.
    pub scopes: Vec<Arc<str>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was granted a key last; `None` if never.
    pub last_used_at: Option<Timestamp>,
    /// When its newest token was issued.
    pub token_issued_at: Timestamp,
    /// Until when an older token is accepted beside that, if one is; the last of them, if several are.
    pub old_token_until: Option<Timestamp>,
}

/// A consumer with the token that was just issued to it, which is shown this once.
#[derive(Debug)]
pub struct IssuedToken {
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

/// All that is shown piece by piece, each under the pool's lock: between two of them others have it.
pub(crate) fn in_pieces<N, V>(mut piece: impl FnMut(Bound<N>) -> (Vec<V>, Option<N>)) -> Vec<V> {
    let mut all = Vec::new();
    let mut after = Bound::Unbounded;
    loop {
        let (some, last) = piece(after);
        all.extend(some);
        let Some(last) = last else { return all };
        after = Bound::Excluded(last);
        // Whoever was woken for the lock takes it now.
        std::thread::yield_now();
    }
}

/// What is shown of the first of these, and the last that was looked at if there may be further ones.
fn piece<'a, N: Copy + 'a, E: 'a, V>(
    entries: impl Iterator<Item = (&'a N, &'a E)>,
    view: impl Fn(N, &'a E) -> Option<V>,
) -> (Vec<V>, Option<N>) {
    let mut shown = Vec::new();
    for (looked_at, (number, entry)) in (1..).zip(entries) {
        shown.extend(view(*number, entry));
        if looked_at == LOOKED_AT_AT_ONCE {
            return (shown, Some(*number));
        }
    }
    (shown, None)
}

impl Live {
    /// Some of the tiers, and the last one that was looked at if there may be further ones. Those that are gone and still
    /// hold keys taken over have no name, and are not shown.
    pub(crate) fn tier_views(&self, after: Bound<TierNo>) -> (Vec<TierView>, Option<TierNo>) {
        let tiers = self.roster.tiers.range((after, Bound::Unbounded));
        piece(tiers, |_, tier| (!tier.name.is_empty()).then(|| self.tier_view(tier)))
    }

    pub(crate) fn tier_view(&self, tier: &TierEntry) -> TierView {
        let view = |(number, feature): &(_, keypool_store::TierFeature)| FeatureView {
            name: self.roster.feature_name(*number),
            rate_limit: feature.rate_limit,
            window_seconds: feature.window_secs,
        };
        let mut features: Vec<FeatureView> = tier.features.iter().map(view).collect();
        features.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        TierView {
            id: Arc::clone(&tier.id),
            name: Arc::clone(&tier.name),
            description: Arc::clone(&tier.description),
            features,
        }
    }

    pub(crate) fn added_key(&self, number: KeyNo, now: Timestamp) -> AddedKey {
        let original = self.roster.original_of(number).map(|original| &self.roster.keys[&original]);
        AddedKey {
            key: self.key_view(number, &self.roster.keys[&number], now),
            duplicate_of: original.map(|original| Arc::clone(&original.sealed.id)),
        }
    }

    pub(crate) fn key_view(&self, number: KeyNo, key: &KeyEntry, now: Timestamp) -> KeyView {
        let tier = self.roster.tiers.get(&key.tier);
        let budget = self.core.budget_usage(number, now);
        KeyView {
            id: Arc::clone(&key.sealed.id),
            name: Arc::clone(&key.name),
            tier_id: tier.map_or_else(|| Arc::from(""), |tier| Arc::clone(&tier.id)),
            tier: tier.map_or_else(|| Arc::from(""), |tier| Arc::clone(&tier.name)),
            is_active: key.is_active,
            expires_at: key.expires_at,
            usage_limit: key.usage_limit,
            usage_count: budget.as_ref().map_or(0, |budget| budget.used),
            usage_window_seconds: key.usage_window_secs,
            usage_resets_at: budget.and_then(|budget| budget.resets_at),
            metadata: Arc::clone(&key.sealed.metadata),
            secret_names: key.sealed.secrets.iter().map(|(name, _)| Arc::clone(name)).collect(),
            usage: tier.map_or_else(Vec::new, |tier| self.usage_of(number, tier, now)),
            created_at: key.created_at,
        }
    }

    fn usage_of(&self, key: KeyNo, tier: &TierEntry, now: Timestamp) -> Vec<FeatureUsage> {
        let usage = |(number, feature): &(_, keypool_store::TierFeature)| FeatureUsage {
            feature: self.roster.feature_name(*number),
            used: self.core.rate_usage(key, *number, now),
            limit: feature.rate_limit,
            window_seconds: feature.window_secs,
        };
        let mut usage: Vec<FeatureUsage> = tier.features.iter().map(usage).collect();
        usage.sort_unstable_by(|a, b| a.feature.cmp(&b.feature));
        usage
    }

    /// Some of the consumers, and the last one that was looked at if there may be further ones.
    pub(crate) fn consumer_views(
        &mut self,
        after: Bound<ConsumerNo>,
    ) -> (Vec<ConsumerView>, Option<ConsumerNo>) {
        let now = self.now();
        let consumers = self.roster.consumers.range((after, Bound::Unbounded));
        piece(consumers, |number, consumer| Some(self.consumer_view(number, consumer, now)))
    }

    /// The names of these tiers, in order.
    pub(crate) fn tier_names(&self, tiers: &[TierNo]) -> Vec<Arc<str>> {
        let name = |tier: &TierNo| self.roster.tiers.get(tier).map(|tier| Arc::clone(&tier.name));
        let mut names: Vec<Arc<str>> = tiers.iter().filter_map(name).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn consumer_view(
        &self,
        number: ConsumerNo,
        consumer: &ConsumerEntry,
        now: Timestamp,
    ) -> ConsumerView {
        ConsumerView {
            id: Arc::clone(&consumer.id),
            name: Arc::clone(&consumer.name),
            description: Arc::clone(&consumer.description),
            is_active: consumer.is_active,
            expires_at: consumer.expires_at,
            scopes: self.tier_names(&consumer.scopes),
            created_at: consumer.created_at,
            last_used_at: self.uses.last_of(number),
            token_issued_at: consumer.token_issued_at,
            old_token_until: consumer.overlap_until(now),
        }
    }
}

#[cfg(test)]
mod tests;
