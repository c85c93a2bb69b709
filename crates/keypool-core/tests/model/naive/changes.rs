//! How the model changes: grants and their ends, adoptions, and what an admin does.

use std::collections::BTreeMap;

use keypool_core::{
    FeatureNo, FeatureTally, GrantId, KeyNo, KeyTerms, RateLimit, Tally, TierNo, Timestamp,
};

use super::{Answer, Naive, NaiveKey, Outstanding, budget_window, end};

impl Naive {
    pub(crate) fn grant(&mut self, feature: FeatureNo, answer: &Answer) {
        let Ok((id, key, rate_since, budget_since)) = *answer else { return };
        self.latest = self.latest.max(Some(id.get()));
        let outstanding = &mut self.keys.get_mut(&key).expect("it was granted").outstanding;
        outstanding.push(Outstanding { id, feature, rate_since, budget_since });
    }

    pub(crate) fn settle(&mut self, key: KeyNo, id: GrantId, committed: bool) {
        let Some(key) = self.keys.get_mut(&key) else { return };
        let Some(at) = key.outstanding.iter().position(|o| o.id == id) else { return };
        let grant = key.outstanding.remove(at);
        if committed {
            let feature = key.features.entry(grant.feature).or_default();
            feature.last = feature.last.max(Some(id));
            record(&mut feature.rate, grant.rate_since);
            record(&mut key.budget, grant.budget_since);
        }
    }

    pub(crate) fn adopt(&mut self, key: KeyNo, budget: Tally, features: &[FeatureTally]) {
        let lasts = features.iter().filter_map(|tally| tally.last_grant).map(GrantId::get);
        self.latest = lasts.chain(self.latest).max();
        let Some(key) = self.keys.get_mut(&key) else { return };
        for tally in features {
            let feature = key.features.entry(tally.feature).or_default();
            feature.rate = tally.rate;
            feature.last = tally.last_grant;
            for grant in key.outstanding.iter_mut().filter(|o| o.feature == tally.feature) {
                grant.rate_since = rehome(grant.rate_since, tally.rate.since, feature.window);
            }
        }
        let window = budget_window(key.terms.budget);
        key.budget = Tally { since: budget.since.filter(|_| window.is_some()), ..budget };
        for grant in &mut key.outstanding {
            grant.budget_since = rehome(grant.budget_since, key.budget.since, window);
        }
    }

    pub(crate) fn strike(&mut self, no: KeyNo, count: u64, now: Timestamp) {
        let Some(key) = self.keys.get(&no) else { return };
        let newest = key.budget().since;
        let since = match (budget_window(key.terms.budget), newest) {
            (None, _) => None,
            (Some(window), Some(since)) if now.as_millis() < end(since, window) => newest,
            (Some(_), _) if count == 0 => None,
            (Some(_), _) => Some(now),
        };
        self.adopt(no, Tally { since, count }, &[]);
    }

    pub(crate) fn put_key(&mut self, no: KeyNo, terms: KeyTerms) {
        let fresh = NaiveKey {
            terms,
            budget: Tally::default(),
            features: BTreeMap::new(),
            outstanding: Vec::new(),
        };
        let key = self.keys.entry(no).or_insert(fresh);
        let before = std::mem::replace(&mut key.terms, terms);
        if before.budget.is_none() && terms.budget.is_some() {
            key.budget = Tally::default();
        }
        let window = budget_window(terms.budget);
        if budget_window(before.budget).is_some() != window.is_some() {
            key.budget.since = None;
            let mut open: Option<Timestamp> = None;
            for grant in &mut key.outstanding {
                open = match (window, open) {
                    (None, _) => None,
                    (Some(length), Some(since))
                        if grant.id.at().as_millis() < end(since, length) =>
                    {
                        open
                    }
                    _ => Some(grant.id.at()),
                };
                grant.budget_since = open;
            }
        }
        self.note_windows();
    }

    pub(crate) fn remove_key(&mut self, no: KeyNo) -> bool {
        self.keys.remove(&no).is_some()
    }

    pub(crate) fn put_tier(&mut self, tier: TierNo, features: &[(FeatureNo, RateLimit)]) {
        self.tiers.insert(tier, features.iter().copied().collect());
        self.note_windows();
    }

    pub(crate) fn remove_tier(&mut self, tier: TierNo) -> bool {
        let in_use = self.keys.values().any(|key| key.terms.tier == tier);
        if !in_use {
            self.tiers.remove(&tier);
        }
        !in_use
    }

    fn note_windows(&mut self) {
        for key in self.keys.values_mut() {
            for (feature, limit) in self.tiers.get(&key.terms.tier).into_iter().flatten() {
                key.features.entry(*feature).or_default().window = Some(limit.window.as_millis());
            }
        }
    }
}

/// Where a reserved grant counts once `adopted` is on record.
fn rehome(
    own: Option<Timestamp>,
    adopted: Option<Timestamp>,
    window: Option<i64>,
) -> Option<Timestamp> {
    let (Some(window), Some(mine), Some(theirs)) = (window, own, adopted) else { return own };
    let had_ended = end(mine, window) <= theirs.as_millis();
    let lies_beyond = mine.as_millis() >= end(theirs, window);
    if had_ended || lies_beyond { own } else { adopted }
}

/// Puts a grant on the record of its window, unless a newer one is on record.
fn record(tally: &mut Tally, since: Option<Timestamp>) {
    if since == tally.since {
        tally.count = tally.count.saturating_add(1);
    } else if since > tally.since {
        *tally = Tally { since, count: 1 };
    }
}
