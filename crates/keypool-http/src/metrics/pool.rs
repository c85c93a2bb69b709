//! How the pool stands: keys by tier and state, budgets, and which keys there are for a feature.

use std::fmt;

use keypool_engine::{Counts, FeatureCounts, KeyCounts};

use super::families::*;
use super::sheet::Sheet;

/// The tier of keys whose tier the Go program had lost.
const LOST: &str = "(none)";

pub(super) fn write(sheet: &mut Sheet<'_>, counts: &Counts) -> fmt::Result {
    let tiers = || {
        counts
            .tiers
            .iter()
            .map(|tier| (if tier.name.is_empty() { LOST } else { &*tier.name }, tier))
    };

    let mut keys = sheet.begin(&KEYS)?;
    for (name, tier) in tiers() {
        for (state, count) in key_states(&tier.keys) {
            keys.gauge(&[name, state], count)?;
        }
    }
    let mut expiring = sheet.begin(&KEYS_EXPIRING)?;
    for (name, tier) in tiers() {
        expiring.gauge(&[name], tier.keys.expiring)?;
    }
    let mut next_expiry = sheet.begin(&NEXT_KEY_EXPIRY)?;
    for (name, tier) in tiers() {
        if let Some(at) = tier.next_expiry {
            next_expiry.gauge(&[name], super::seconds(at))?;
        }
    }
    let mut of_features = sheet.begin(&FEATURE_KEYS)?;
    for (name, tier) in tiers() {
        for (feature, counts) in &tier.features {
            for (state, count) in feature_states(counts) {
                of_features.gauge(&[name, feature, state], count)?;
            }
        }
    }
    // A tier without budgets has none left, and that is no bad news.
    let with_budgets =
        || tiers().filter(|(_, tier)| tier.budgets.used > 0 || tier.budgets.left > 0);
    let mut used = sheet.begin(&BUDGET_USED)?;
    for (name, tier) in with_budgets() {
        used.gauge(&[name], tier.budgets.used)?;
    }
    let mut left = sheet.begin(&BUDGET_LEFT)?;
    for (name, tier) in with_budgets() {
        left.gauge(&[name], tier.budgets.left)?;
    }
    Ok(())
}

/// The states that exclude each other.
const fn key_states(keys: &KeyCounts) -> [(&'static str, u64); 7] {
    [
        ("usable", keys.usable),
        ("rate_limited", keys.rate_limited),
        ("budget_spent", keys.budget_spent),
        ("exhausted", keys.exhausted),
        ("expired", keys.expired),
        ("inactive", keys.inactive),
        ("damaged", keys.damaged),
    ]
}

const fn feature_states(keys: &FeatureCounts) -> [(&'static str, u64); 4] {
    [
        ("usable", keys.usable),
        ("rate_limited", keys.rate_limited),
        ("budget_spent", keys.budget_spent),
        ("unusable", keys.unusable),
    ]
}
