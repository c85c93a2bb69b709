//! From a change that the database has committed to the same change in memory.

use keypool_core::{FeatureNo, Timestamp};
use keypool_crypto::Fingerprint;
use keypool_store::{Balance, ChangeKind, KeyUpdate, TierFeature};

use super::Live;
use crate::load;
use crate::opener::Opener;
use crate::roster::TierEntry;

/// A tier's features by number, and the names of those that are new to the pool.
type NumberedFeatures = (Vec<(FeatureNo, TierFeature)>, Vec<(FeatureNo, String)>);

impl Live {
    pub(super) fn apply_to_memory(
        &mut self,
        change: ChangeKind,
        fingerprints: &[Fingerprint],
        at: Timestamp,
        opener: Opener<'_>,
    ) {
        match change {
            ChangeKind::AddTier(tier) => {
                self.put_features(&tier.new_features);
                let entry = TierEntry {
                    id: tier.id.into(),
                    name: tier.name.into(),
                    description: tier.description.into(),
                    features: tier.features,
                };
                self.core.put_tier(tier.no, &entry.rate_limits());
                self.roster.put_tier(tier.no, entry);
            }
            ChangeKind::UpdateTier(update) => {
                self.put_features(&update.new_features);
                let tier = self.roster.tiers.get_mut(&update.no);
                let tier = tier.expect("a tier that was changed exists");
                if let Some(name) = update.name {
                    tier.name = name.into();
                }
                if let Some(description) = update.description {
                    tier.description = description.into();
                }
                if let Some(features) = update.features {
                    tier.features = features;
                    self.core.put_tier(update.no, &tier.rate_limits());
                }
            }
            ChangeKind::DeleteTier(number) => {
                self.core.remove_tier(number).expect("a tier that was deleted holds no key");
                self.roster.remove_tier(number);
            }
            ChangeKind::AddKeys(keys) => {
                for (key, fingerprint) in keys.into_iter().zip(fingerprints) {
                    let (number, entry) = load::added_key(key, *fingerprint, at);
                    self.core.put_key(number, entry.terms());
                    self.roster.put_key(number, entry);
                }
            }
            ChangeKind::UpdateKey(update) => {
                self.update_key(&update, fingerprints.first(), at, opener);
            }
            ChangeKind::DeleteKey(number) => {
                self.core.remove_key(number);
                self.roster.remove_key(number);
            }
            ChangeKind::AddConsumer(consumer) => {
                let (number, entry) = load::added_consumer(consumer, at);
                self.roster.put_consumer(number, entry);
            }
            ChangeKind::UpdateConsumer(update) => {
                let consumer = self.roster.consumers.get_mut(&update.no);
                let consumer = consumer.expect("a consumer that was changed exists");
                if let Some(name) = update.name {
                    consumer.name = name.into();
                }
                if let Some(description) = update.description {
                    consumer.description = description.into();
                }
                if let Some(active) = update.active {
                    consumer.is_active = active;
                }
                if let Some(expires_at) = update.expires_at {
                    consumer.expires_at = expires_at;
                }
            }
            ChangeKind::IssueToken(token) => self.roster.replace_token(&token, at),
            ChangeKind::DeleteConsumer(number) => {
                self.roster.remove_consumer(number);
            }
            ChangeKind::AddScope { consumer, tier } => {
                let scopes =
                    self.roster.consumers.get_mut(&consumer).map(|entry| &mut entry.scopes);
                let scopes = scopes.expect("a consumer that was given a scope exists");
                if let Err(place) = scopes.binary_search(&tier) {
                    scopes.insert(place, tier);
                }
            }
            ChangeKind::RemoveScope { consumer, tier } => {
                let consumer = self.roster.consumers.get_mut(&consumer);
                consumer
                    .expect("a consumer whose scope was removed exists")
                    .scopes
                    .retain(|no| *no != tier);
            }
            ChangeKind::RecordOnly => {}
        }
    }

    /// The database has changed the count by its own rows; memory's forecast goes the same way.
    fn update_key(
        &mut self,
        update: &KeyUpdate,
        fingerprint: Option<&Fingerprint>,
        at: Timestamp,
        opener: Opener<'_>,
    ) {
        let before = self.roster.keys.get(&update.no).expect("a key that was changed exists");
        let mut key = load::updated_key(before, update);
        if key.is_damaged() {
            key.fingerprint = opener.examine(&key.sealed).ok();
        } else if let Some(fingerprint) = fingerprint {
            key.fingerprint = Some(*fingerprint);
        }
        let budget = self.core.budget_usage(update.no, at);
        let is_in_window = budget.is_some_and(|budget| budget.resets_at.is_some());
        self.core.put_key(update.no, key.terms());
        let struck = match update.balance {
            Balance::Kept => None,
            Balance::KeptForLife { .. } => (!is_in_window).then_some(0),
            Balance::Struck(count) => Some(u64::try_from(count).unwrap_or(0)),
        };
        if let Some(count) = struck {
            self.core.strike_balance(update.no, count, at);
        }
        self.roster.put_key(update.no, key);
    }

    fn put_features(&mut self, features: &[(FeatureNo, String)]) {
        for (number, name) in features {
            self.roster.put_feature(*number, name);
        }
    }

    /// Numbers for the features that are named: those they have, or the next free ones.
    pub(crate) fn number_features(&self, features: &[(String, TierFeature)]) -> NumberedFeatures {
        let mut new_features = Vec::new();
        let mut next = self.roster.last.feature;
        let number = |(name, feature): &(String, TierFeature)| {
            let number = self.roster.feature(name).unwrap_or_else(|| {
                next += 1;
                let number = FeatureNo::new(next);
                new_features.push((number, name.clone()));
                number
            });
            (number, *feature)
        };
        let numbered = features.iter().map(number).collect();
        (numbered, new_features)
    }
}
