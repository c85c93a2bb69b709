//! What the engine keeps in memory beside core's numbers: names, sealed values, consumers and their tokens.
//!
//! It mirrors the living rows of the database. It decides nothing.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use keypool_core::{
    Budget, ConsumerNo, FeatureNo, KeyNo, KeyTerms, Period, RateLimit, TierNo, Timestamp,
};
use keypool_crypto::{
    Fingerprint, OpenError, Place, Plain, SealedText, Sealer, TokenDigest, TokenTag,
};
use keypool_store::{LastNumbers, NewToken, TierFeature};

use crate::Secret;

/// All that memory knows by name.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub(crate) tiers: BTreeMap<TierNo, TierEntry>,
    pub(crate) keys: BTreeMap<KeyNo, KeyEntry>,
    pub(crate) consumers: BTreeMap<ConsumerNo, ConsumerEntry>,
    pub(crate) last: LastNumbers,
    features_by_name: HashMap<Arc<str>, FeatureNo>,
    names_of_features: HashMap<FeatureNo, Arc<str>>,
    keys_by_id: HashMap<Arc<str>, KeyNo>,
    keys_by_value: BTreeSet<(Fingerprint, KeyNo)>,
    consumers_by_id: HashMap<Arc<str>, ConsumerNo>,
    /// Of consumers that hold the same token, as the original allowed, the oldest has it.
    consumers_by_token: HashMap<TokenDigest, BTreeSet<ConsumerNo>>,
}

#[derive(Debug)]
pub(crate) struct TierEntry {
    pub(crate) id: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) description: Arc<str>,
    pub(crate) features: Vec<(FeatureNo, TierFeature)>,
}

#[derive(Debug)]
pub(crate) struct KeyEntry {
    pub(crate) name: Arc<str>,
    pub(crate) tier: TierNo,
    pub(crate) is_active: bool,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) usage_limit: Option<i64>,
    pub(crate) usage_window_secs: Option<i64>,
    pub(crate) created_at: Timestamp,
    /// That of its value; none where the value, or a secret, does not open.
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) sealed: Arc<SealedKey>,
}

/// What a grant reveals, still sealed. A grant carries the one that it was decided on.
#[derive(Debug)]
pub(crate) struct SealedKey {
    pub(crate) id: Arc<str>,
    pub(crate) value: SealedText,
    pub(crate) metadata: Arc<str>,
    pub(crate) secrets: Vec<(Arc<str>, SealedText)>,
}

#[derive(Debug)]
pub(crate) struct ConsumerEntry {
    pub(crate) id: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) description: Arc<str>,
    pub(crate) is_active: bool,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    /// None where the database holds another text, which no token matches.
    pub(crate) token: Option<TokenDigest>,
    pub(crate) token_issued_at: Timestamp,
    /// Tokens of before, each with the moment from which it is not accepted.
    pub(crate) former_tokens: Vec<(TokenDigest, Timestamp)>,
    /// In order.
    pub(crate) scopes: Vec<TierNo>,
}

impl Roster {
    /// An empty roster that goes on from the highest numbers ever given out.
    pub(crate) fn new(last: LastNumbers) -> Self {
        Self { last, ..Self::default() }
    }

    pub(crate) fn feature(&self, name: &str) -> Option<FeatureNo> {
        self.features_by_name.get(name).copied()
    }

    pub(crate) fn feature_name(&self, feature: FeatureNo) -> Arc<str> {
        self.names_of_features.get(&feature).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Every feature that any tier ever had.
    pub(crate) fn features(&self) -> Vec<(FeatureNo, Arc<str>)> {
        self.names_of_features.iter().map(|(number, name)| (*number, Arc::clone(name))).collect()
    }

    /// The features that a tier covers now.
    pub(crate) fn covered_features(&self) -> HashSet<FeatureNo> {
        let features = self.tiers.values().flat_map(|tier| &tier.features);
        features.map(|(number, _)| *number).collect()
    }

    /// All but those that are gone and still hold keys taken over, which have no name.
    pub(crate) fn named_tiers(&self) -> impl Iterator<Item = (TierNo, &TierEntry)> {
        self.tiers.iter().map(|(no, tier)| (*no, tier)).filter(|(_, tier)| !tier.name.is_empty())
    }

    pub(crate) fn tier_named(&self, name: &str) -> Option<TierNo> {
        self.named_tiers().find(|(_, tier)| &*tier.name == name).map(|(no, _)| no)
    }

    pub(crate) fn tier_with_id(&self, id: &str) -> Option<TierNo> {
        self.named_tiers().find(|(_, tier)| &*tier.id == id).map(|(no, _)| no)
    }

    /// The tier of that name, or else the one with that id.
    pub(crate) fn tier_named_or_with_id(&self, name: &str) -> Option<TierNo> {
        self.tier_named(name).or_else(|| self.tier_with_id(name))
    }

    pub(crate) fn key_with_id(&self, id: &str) -> Option<KeyNo> {
        self.keys_by_id.get(id).copied()
    }

    /// The oldest key that holds the same value as a younger one.
    pub(crate) fn original_of(&self, number: KeyNo) -> Option<KeyNo> {
        let fingerprint = self.keys.get(&number)?.fingerprint?;
        self.oldest_with_value(fingerprint).filter(|oldest| *oldest < number)
    }

    /// The oldest key that holds a value.
    pub(crate) fn oldest_with_value(&self, fingerprint: Fingerprint) -> Option<KeyNo> {
        let (first, last) = (KeyNo::new(i64::MIN), KeyNo::new(i64::MAX));
        let mut keys = self.keys_by_value.range((fingerprint, first)..=(fingerprint, last));
        keys.next().map(|(_, number)| *number)
    }

    pub(crate) fn consumer_with_id(&self, id: &str) -> Option<ConsumerNo> {
        self.consumers_by_id.get(id).copied()
    }

    pub(crate) fn consumer_named(&self, name: &str) -> Option<ConsumerNo> {
        self.consumers.iter().find(|(_, consumer)| &*consumer.name == name).map(|(no, _)| *no)
    }

    /// Whom a token belongs to that is accepted at this moment.
    pub(crate) fn consumer_with_token(
        &self,
        token: &TokenDigest,
        now: Timestamp,
    ) -> Option<ConsumerNo> {
        let number = *self.consumers_by_token.get(token)?.first()?;
        self.consumer_accepting(number, token.tag(), now).map(|_| number)
    }

    /// A consumer, if it accepts a token at this moment.
    pub(crate) fn consumer_accepting(
        &self,
        number: ConsumerNo,
        token: TokenTag,
        now: Timestamp,
    ) -> Option<&ConsumerEntry> {
        self.consumers.get(&number).filter(|consumer| consumer.accepts(token, now))
    }

    pub(crate) fn put_feature(&mut self, feature: FeatureNo, name: &str) {
        let name: Arc<str> = Arc::from(name);
        self.last.feature = self.last.feature.max(feature.get());
        self.names_of_features.insert(feature, Arc::clone(&name));
        self.features_by_name.insert(name, feature);
    }

    pub(crate) fn put_tier(&mut self, number: TierNo, tier: TierEntry) {
        self.last.tier = self.last.tier.max(number.get());
        self.tiers.insert(number, tier);
    }

    /// Scopes on it go with it.
    pub(crate) fn remove_tier(&mut self, number: TierNo) {
        self.tiers.remove(&number);
        for consumer in self.consumers.values_mut() {
            consumer.scopes.retain(|tier| *tier != number);
        }
    }

    pub(crate) fn put_key(&mut self, number: KeyNo, key: KeyEntry) {
        self.last.key = self.last.key.max(number.get());
        self.remove_key(number);
        self.keys_by_id.insert(Arc::clone(&key.sealed.id), number);
        self.keys_by_value.extend(key.fingerprint.map(|fingerprint| (fingerprint, number)));
        self.keys.insert(number, key);
    }

    pub(crate) fn remove_key(&mut self, number: KeyNo) {
        if let Some(key) = self.keys.remove(&number) {
            self.keys_by_id.remove(&key.sealed.id);
            if let Some(fingerprint) = key.fingerprint {
                self.keys_by_value.remove(&(fingerprint, number));
            }
        }
    }

    pub(crate) fn put_consumer(&mut self, number: ConsumerNo, consumer: ConsumerEntry) {
        self.last.consumer = self.last.consumer.max(number.get());
        self.consumers_by_id.insert(Arc::clone(&consumer.id), number);
        for token in consumer.tokens() {
            self.consumers_by_token.entry(token).or_default().insert(number);
        }
        self.consumers.insert(number, consumer);
    }

    /// Gives a consumer another token.
    pub(crate) fn replace_token(&mut self, token: &NewToken, now: Timestamp) {
        let mut consumer = self
            .remove_consumer(token.consumer)
            .expect("a consumer that a token was issued to exists");
        let digest = TokenDigest::from_hex(&token.token_hash).ok();
        consumer.replace_token(digest, now, token.overlap_until(now));
        self.put_consumer(token.consumer, consumer);
    }

    pub(crate) fn remove_consumer(&mut self, number: ConsumerNo) -> Option<ConsumerEntry> {
        let removed = self.consumers.remove(&number)?;
        self.consumers_by_id.remove(&removed.id);
        for token in removed.tokens() {
            if let Entry::Occupied(mut holders) = self.consumers_by_token.entry(token) {
                holders.get_mut().remove(&number);
                if holders.get().is_empty() {
                    holders.remove();
                }
            }
        }
        Some(removed)
    }
}

impl ConsumerEntry {
    /// Whether it may call with this token at this moment.
    pub(crate) fn accepts(&self, token: TokenTag, now: Timestamp) -> bool {
        let is_somebody = self.is_active && self.expires_at.is_none_or(|end| now < end);
        let mut former = self.former_tokens.iter();
        is_somebody
            && (self.token.is_some_and(|held| held.tag() == token)
                || former.any(|(held, until)| held.tag() == token && now < *until))
    }

    /// Until when the last of its former tokens is accepted, if one is.
    pub(crate) fn overlap_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.former_tokens.iter().map(|(_, until)| *until).max().filter(|until| now < *until)
    }

    /// Gives it another token. The one that it had is accepted until then at most, and so are those before.
    pub(crate) fn replace_token(
        &mut self,
        token: Option<TokenDigest>,
        now: Timestamp,
        overlap_until: Timestamp,
    ) {
        self.former_tokens.iter_mut().for_each(|(_, until)| *until = overlap_until.min(*until));
        self.former_tokens.extend(self.token.map(|token| (token, overlap_until)));
        self.former_tokens.retain(|(_, until)| now < *until);
        self.token = token;
        self.token_issued_at = now;
    }

    fn tokens(&self) -> impl Iterator<Item = TokenDigest> {
        self.token.into_iter().chain(self.former_tokens.iter().map(|(token, _)| *token))
    }
}

impl ConsumerEntry {
    /// Its scopes but for one; `None` where it has not got that.
    pub(crate) fn scopes_without(&self, tier: TierNo) -> Option<Vec<TierNo>> {
        let place = self.scopes.binary_search(&tier).ok()?;
        let mut scopes = self.scopes.clone();
        scopes.remove(place);
        Some(scopes)
    }
}

impl TierEntry {
    /// The tier's rate limits, as core counts them.
    pub(crate) fn rate_limits(&self) -> Vec<(FeatureNo, RateLimit)> {
        self.features.iter().filter_map(|(no, feature)| Some((*no, rate_limit(feature)?))).collect()
    }
}

impl KeyEntry {
    /// Whether its value, or a secret, does not open.
    pub(crate) fn is_damaged(&self) -> bool {
        self.fingerprint.is_none()
    }

    /// What core must know of the key.
    pub(crate) fn terms(&self) -> KeyTerms {
        let budget = self.usage_limit.map(|units| Budget {
            units: u64::try_from(units).unwrap_or(0),
            window: self.usage_window_secs.and_then(period),
        });
        let active = self.is_active && !self.is_damaged();
        KeyTerms { tier: self.tier, active, expires_at: self.expires_at, budget }
    }
}

impl SealedKey {
    /// Opens the value and every secret.
    ///
    /// # Errors
    /// Those of [`Sealer::open`], for the first that does not open.
    pub(crate) fn open(&self, sealer: &Sealer) -> Result<(Plain, Vec<Secret>), OpenError> {
        let value = sealer.open(Place::KeyValue { key: &self.id }, self.value.as_str())?;
        let open_secret = |(name, sealed): &(Arc<str>, SealedText)| {
            let value = sealer.open(Place::Secret { key: &self.id, name }, sealed.as_str())?;
            Ok(Secret { name: Arc::clone(name), value })
        };
        let secrets = self.secrets.iter().map(open_secret).collect::<Result<_, _>>()?;
        Ok((value, secrets))
    }
}

/// None where the window is none that core can count in, which the store does not hand out.
fn rate_limit(feature: &TierFeature) -> Option<RateLimit> {
    let calls = u64::try_from(feature.rate_limit).unwrap_or(0);
    Some(RateLimit { calls, window: period(feature.window_secs)? })
}

fn period(secs: i64) -> Option<Period> {
    u64::try_from(secs).ok().and_then(Period::from_secs)
}

#[cfg(test)]
mod tests;
