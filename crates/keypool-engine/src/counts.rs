//! How many keys stand how, by tier and by feature: what health and metrics are made of.
//!
//! Each key is looked at, some at a time, and draws pass between: the counts are those of a few milliseconds, not of one
//! moment.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use keypool_core::{Condition, FeatureNo, KeyNo, TierNo, Timestamp};
use rustc_hash::FxHashMap;

use crate::Engine;
use crate::live::Live;
use crate::roster::KeyEntry;

/// Conditions that are looked at in one go.
const A_GO: usize = 1_024;
/// A key that expires within so long is counted as expiring: a day.
const SOON_MS: i64 = 24 * 60 * 60 * 1_000;

/// How many keys stand how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By tier, in order of the tiers' names. Keys whose tier the Go program had lost are in one without a name.
    pub tiers: Vec<TierCounts>,
    /// UUIDs of keys whose value or secrets are sealed but damaged; they are not granted.
    pub damaged: Vec<Arc<str>>,
}

/// How the keys of one tier stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierCounts {
    /// The tier's name.
    pub name: Arc<str>,
    /// Its keys by state.
    pub keys: KeyCounts,
    /// The budgets of those of its keys that may be granted.
    pub budgets: BudgetCounts,
    /// When the first of those of its keys expires that may be granted.
    pub next_expiry: Option<Timestamp>,
    /// For each feature that it covers, in order of name, how its keys stand for that.
    pub features: Vec<(Arc<str>, FeatureCounts)>,
}

/// Keys by state; each is counted in one of these, but for `expiring`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Can be granted for a feature at least.
    pub usable: u64,
    /// At a rate limit for every feature, or at a budget that comes back no earlier.
    pub rate_limited: u64,
    /// Have spent their budget for now.
    pub budget_spent: u64,
    /// Time alone brings them back for no feature: a budget for life is spent, or one that does not heal before the key
    /// expires, or their tier covers nothing.
    pub exhausted: u64,
    /// Have expired.
    pub expired: u64,
    /// Were deactivated.
    pub inactive: u64,
    /// Have a value or a secret that does not open.
    pub damaged: u64,
    /// Expire within a day, whatever state they are in otherwise (but for expired, inactive and damaged ones).
    pub expiring: u64,
}

/// Units of all budgets, over keys that have one and are neither expired, inactive nor damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetCounts {
    /// Used in the windows that are open now, or for life.
    pub used: u64,
    /// Left until these windows end, or for life.
    pub left: u64,
}

/// Keys by how they stand for one feature; each is counted in one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureCounts {
    /// Can be granted.
    pub usable: u64,
    /// At their rate limit for now.
    pub rate_limited: u64,
    /// Have spent their budget for now.
    pub budget_spent: u64,
    /// Time alone does not bring them back: inactive, damaged, expired, or at a limit that does not heal before they expire.
    pub unusable: u64,
}

impl Counts {
    /// Number of keys.
    #[must_use]
    pub fn pool_size(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.keys.all()).sum()
    }

    /// By feature, over all tiers, in order of name.
    #[must_use]
    pub fn features(&self) -> BTreeMap<Arc<str>, FeatureCounts> {
        let mut all: BTreeMap<Arc<str>, FeatureCounts> = BTreeMap::new();
        for (name, of_tier) in self.tiers.iter().flat_map(|tier| &tier.features) {
            all.entry(Arc::clone(name)).or_default().add(of_tier);
        }
        all
    }
}

impl KeyCounts {
    /// All keys of the tier.
    #[must_use]
    pub fn all(&self) -> u64 {
        let Self { usable, rate_limited, budget_spent, exhausted, expired, inactive, .. } = self;
        usable + rate_limited + budget_spent + exhausted + expired + inactive + self.damaged
    }
}

impl FeatureCounts {
    fn add(&mut self, other: &Self) {
        self.usable += other.usable;
        self.rate_limited += other.rate_limited;
        self.budget_spent += other.budget_spent;
        self.unusable += other.unusable;
    }

    fn count(&mut self, condition: Condition) {
        *match condition {
            Condition::Usable => &mut self.usable,
            Condition::RateLimited => &mut self.rate_limited,
            Condition::BudgetSpent => &mut self.budget_spent,
            Condition::Unusable => &mut self.unusable,
        } += 1;
    }
}

impl Engine {
    /// Counts how the keys stand, as memory has them ([`confirm_recent`](Engine::confirm_recent)). However many they are,
    /// draws pass between.
    pub async fn counts(&self) -> Counts {
        let mut census = Census::default();
        while self.shared.live().count_some(&mut census).is_some() {
            tokio::task::yield_now().await;
        }
        self.shared.live().name(census)
    }
}

/// Counts under numbers, while keys are looked at.
#[derive(Default)]
struct Census {
    tiers: FxHashMap<TierNo, (KeyCounts, BudgetCounts, Option<Timestamp>)>,
    features: FxHashMap<(TierNo, FeatureNo), FeatureCounts>,
    damaged: Vec<Arc<str>>,
    /// The last key that was looked at.
    last: Option<KeyNo>,
}

impl Live {
    /// Looks at the next keys; `None` if there were no more.
    fn count_some(&mut self, census: &mut Census) -> Option<()> {
        let now = self.now();
        let from = census.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut looked_at = 0;
        for (&number, key) in self.roster.keys.range((from, Bound::Unbounded)) {
            looked_at += 1 + self.count(number, key, now, census);
            census.last = Some(number);
            if looked_at >= A_GO {
                return Some(());
            }
        }
        None
    }

    /// Counts a key, and answers how many features its tier covers.
    fn count(&self, number: KeyNo, key: &KeyEntry, now: Timestamp, census: &mut Census) -> usize {
        let mut best = Condition::Unusable;
        let mut covered = 0;
        for (feature, condition) in self.core.conditions(number, now) {
            census.features.entry((key.tier, feature)).or_default().count(condition);
            best = best.min(condition);
            covered += 1;
        }
        let (keys, budgets, next_expiry) = census.tiers.entry(key.tier).or_default();
        let state = match best {
            _ if key.is_damaged() => {
                census.damaged.push(Arc::clone(&key.sealed.id));
                &mut keys.damaged
            }
            _ if !key.is_active => &mut keys.inactive,
            _ if key.expires_at.is_some_and(|expires_at| expires_at <= now) => &mut keys.expired,
            Condition::Usable => &mut keys.usable,
            Condition::RateLimited => &mut keys.rate_limited,
            Condition::BudgetSpent => &mut keys.budget_spent,
            Condition::Unusable => &mut keys.exhausted,
        };
        *state += 1;
        if key.may_be_granted(now) {
            let soon_ms = now.as_millis().saturating_add(SOON_MS);
            let is_expiring = key.expires_at.is_some_and(|at| at.as_millis() <= soon_ms);
            keys.expiring += u64::from(is_expiring);
            *next_expiry = [*next_expiry, key.expires_at].into_iter().flatten().min();
            if let Some(limit) = key.usage_limit {
                let used = self.core.budget_usage(number, now).map_or(0, |usage| usage.used);
                let limit = u64::try_from(limit).unwrap_or(0);
                budgets.used = budgets.used.saturating_add(used);
                budgets.left = budgets.left.saturating_add(limit.saturating_sub(used));
            }
        }
        covered
    }

    /// Puts names to what was counted; tiers without keys and features without are counted as such.
    fn name(&self, mut census: Census) -> Counts {
        let mut tiers: Vec<TierCounts> = Vec::with_capacity(self.roster.tiers.len());
        for (number, tier) in &self.roster.tiers {
            let counted = census.tiers.remove(number);
            if tier.name.is_empty() && counted.is_none() {
                continue;
            }
            let (keys, budgets, next_expiry) = counted.unwrap_or_default();
            let of_feature = |&(feature, _): &(FeatureNo, _)| {
                let counts = census.features.get(&(*number, feature)).copied();
                (self.roster.feature_name(feature), counts.unwrap_or_default())
            };
            let mut features: Vec<_> = tier.features.iter().map(of_feature).collect();
            features.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let name = Arc::clone(&tier.name);
            tiers.push(TierCounts { name, keys, budgets, next_expiry, features });
        }
        tiers.sort_by(|a, b| a.name.cmp(&b.name));
        Counts { tiers, damaged: census.damaged }
    }
}

impl KeyEntry {
    /// Whether nothing but limits keeps the key.
    fn may_be_granted(&self, now: Timestamp) -> bool {
        self.is_active && !self.is_damaged() && self.expires_at.is_none_or(|at| at > now)
    }
}
