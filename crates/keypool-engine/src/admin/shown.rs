//! What is put on record of a change: what the lists show of a thing, before and after. Secrets go by their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use keypool_core::Timestamp;
use keypool_store::ChangeRecord;
use serde::Serialize;
use serde::ser::Serializer;
use serde_json::value::{RawValue, to_raw_value};

use crate::live::Live;
use crate::roster::{ConsumerEntry, KeyEntry, TierEntry};
use crate::times;

/// The members of a thing as the lists show it, each with its value as JSON.
#[derive(Debug, Default)]
pub(super) struct Shown(Vec<(&'static str, Box<RawValue>)>);

/// What a tier says of a feature.
#[derive(Debug, Serialize)]
pub(super) struct RateLimit {
    rate_limit: i64,
    window_seconds: i64,
}

/// Metadata as it was given.
pub(super) fn json(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("metadata in memory is JSON")
}

/// A moment, to the millisecond.
pub(super) fn moment(moment: Option<Timestamp>) -> Option<String> {
    moment.map(times::to_the_millisecond)
}

impl Shown {
    /// One more member.
    pub(super) fn with(mut self, member: &'static str, value: impl Serialize) -> Self {
        let value = to_raw_value(&value).expect("what is shown becomes JSON");
        self.0.push((member, value));
        self
    }

    fn get(&self, member: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == member).map(|(_, value)| value.get())
    }

    fn keeping(mut self, is_kept: impl Fn(&'static str, &str) -> bool) -> Self {
        self.0.retain(|(member, value)| is_kept(member, value.get()));
        self
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("JSON becomes JSON")
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(member, value)| (member, value)))
    }
}

/// The record of a new thing.
pub(super) fn added(what: &'static str, id: &str, name: &str, shown: &Shown) -> ChangeRecord {
    let after = Some(shown.to_json());
    ChangeRecord { what, id_of: id.into(), name: name.into(), before: None, after }
}

/// The record of a thing that is gone.
pub(super) fn deleted(
    what: &'static str,
    id: &Arc<str>,
    name: &Arc<str>,
    shown: &Shown,
) -> ChangeRecord {
    let (id_of, name) = (Arc::clone(id), Arc::clone(name));
    ChangeRecord { what, id_of, name, before: Some(shown.to_json()), after: None }
}

/// The record of a thing of which something changes: the members of `after` that differ from what was `before`.
pub(super) fn updated(
    what: &'static str,
    id: &Arc<str>,
    name: &str,
    (before, after): (Shown, Shown),
) -> ChangeRecord {
    let after = after.keeping(|member, value| before.get(member) != Some(value));
    let before = before.keeping(|member, _| after.get(member).is_some());
    let (id_of, name) = (Arc::clone(id), name.into());
    let (before, after) = (Some(before.to_json()), Some(after.to_json()));
    ChangeRecord { what, id_of, name, before, after }
}

impl Live {
    /// A tier as it is shown.
    pub(super) fn shown_tier(&self, tier: &TierEntry) -> Shown {
        let view = self.tier_view(tier);
        let limits = view.features.iter().map(|it| (&*it.name, it.rate_limit, it.window_seconds));
        Shown::default()
            .with("name", &*view.name)
            .with("description", &*view.description)
            .with("features", features(limits))
    }

    /// A key as it is shown, without its counters.
    pub(super) fn shown_key(&self, key: &KeyEntry) -> Shown {
        let tier = self.roster.tiers.get(&key.tier).map_or("", |tier| &*tier.name);
        Shown::default()
            .with("name", &*key.name)
            .with("tier", tier)
            .with("is_active", key.is_active)
            .with("expires_at", moment(key.expires_at))
            .with("usage_limit", key.usage_limit)
            .with("usage_window_seconds", key.usage_window_secs)
            .with("metadata", json(&key.sealed.metadata))
            .with("secret_names", names(key.sealed.secrets.iter().map(|(name, _)| &**name)))
    }

    /// A consumer as it is shown.
    pub(super) fn shown_consumer(&self, consumer: &ConsumerEntry) -> Shown {
        let scopes = self.tier_names(&consumer.scopes);
        Shown::default()
            .with("name", &*consumer.name)
            .with("description", &*consumer.description)
            .with("is_active", consumer.is_active)
            .with("expires_at", moment(consumer.expires_at))
            .with("scopes", names(scopes.iter().map(|name| &**name)))
    }
}

/// The features of a tier, given as (name, calls, seconds).
pub(super) fn features<'a>(
    features: impl Iterator<Item = (&'a str, i64, i64)>,
) -> BTreeMap<&'a str, RateLimit> {
    let limited =
        |(name, rate_limit, window_seconds)| (name, RateLimit { rate_limit, window_seconds });
    features.map(limited).collect()
}

/// Names in order.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
