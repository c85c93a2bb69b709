//! A list of what was granted, from which alone it shows that no limit was passed (promise 1) and turns were fair
//! (promise 4), while no limit changes.

use std::collections::BTreeMap;

use keypool_core::{
    Access, FeatureNo, FeatureTally, Grant, GrantId, KeyNo, KeyTerms, Pool, RateLimit, ReplicaNo,
    Tally, TierNo, Timestamp,
};

use crate::steps::Step;

type Features = BTreeMap<FeatureNo, RateLimit>;

pub(crate) struct Ledger {
    now: i64,
    pool: Pool,
    tiers: BTreeMap<TierNo, Features>,
    keys: BTreeMap<KeyNo, KeyTerms>,
    outstanding: Vec<Grant>,
    /// Every grant that was not released.
    granted: Vec<Entry>,
}

struct Entry {
    id: GrantId,
    key: KeyNo,
    feature: FeatureNo,
    rate_since: Timestamp,
    budget_since: Option<Timestamp>,
    committed: bool,
}

impl Ledger {
    pub(crate) fn new(tiers: &[Vec<(FeatureNo, RateLimit)>], keys: &[KeyTerms]) -> Ledger {
        let mut ledger = Ledger {
            now: 1_000,
            pool: Pool::new(ReplicaNo::MAX),
            tiers: BTreeMap::new(),
            keys: BTreeMap::new(),
            outstanding: Vec::new(),
            granted: Vec::new(),
        };
        for (no, features) in (1..).map(TierNo::new).zip(tiers) {
            ledger.pool.put_tier(no, features);
            ledger.tiers.insert(no, features.iter().copied().collect());
        }
        for (no, terms) in (1..).map(KeyNo::new).zip(keys) {
            let in_a_second = |off: Timestamp| Timestamp::from_millis(off.as_millis() * 20 + 1_000);
            let terms = KeyTerms { expires_at: terms.expires_at.map(in_a_second), ..*terms };
            ledger.pool.put_key(no, terms);
            ledger.keys.insert(no, terms);
        }
        ledger
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Wait(wait) => self.now += wait,
            Step::Draw { tiers, feature, off } => self.draw(tiers.as_deref(), feature, off),
            Step::Commit(nth) => self.settle(nth, true),
            Step::Release(nth) => self.settle(nth, false),
            Step::Adopt { .. }
            | Step::Strike(..)
            | Step::PutTier(..)
            | Step::RemoveTier(_)
            | Step::PutKey(..)
            | Step::RemoveKey(_) => unreachable!("nothing else changes here"),
        }
    }

    fn draw(&mut self, tiers: Option<&[TierNo]>, feature: FeatureNo, off: i64) {
        let access = tiers.map_or(Access::All, Access::Tiers);
        let now = Timestamp::from_millis(self.now + off);
        let Ok(grant) = self.pool.draw(access, feature, now) else { return };
        let terms = self.keys[&grant.key()];
        assert!(terms.active && terms.expires_at.is_none_or(|expires_at| grant.at() < expires_at));
        assert!(tiers.is_none_or(|tiers| tiers.contains(&terms.tier)));
        self.check_turn(access, &grant, now);
        self.granted.push(Entry {
            id: grant.id(),
            key: grant.key(),
            feature,
            rate_since: grant.rate_since(),
            budget_since: grant.budget_since(),
            committed: false,
        });
        self.outstanding.push(grant);
    }

    /// Whoever was served less recently than the granted key, or never, was not to be had.
    fn check_turn(&self, access: Access<'_>, grant: &Grant, now: Timestamp) {
        let feature = grant.feature();
        let last = |key| {
            let of_key = self.granted.iter().filter(|e| e.key == key && e.feature == feature);
            (of_key.map(|entry| entry.id).max(), key)
        };
        for (&key, terms) in &self.keys {
            let allowed = match access {
                Access::All => true,
                Access::Tiers(tiers) => tiers.contains(&terms.tier),
            };
            if allowed && last(key) < last(grant.key()) {
                let mut alone = self.pool.clone();
                for other in self.keys.keys().filter(|other| **other != key) {
                    alone.remove_key(*other);
                }
                let drawn = alone.draw(access, feature, now);
                assert!(drawn.is_err(), "{key:?} was due before {:?}", grant.key());
            }
        }
    }

    fn settle(&mut self, nth: usize, committed: bool) {
        if self.outstanding.is_empty() {
            return;
        }
        let grant = self.outstanding.swap_remove(nth % self.outstanding.len());
        let at = self.granted.iter().position(|entry| entry.id == grant.id());
        let at = at.expect("it was granted");
        if committed {
            self.granted[at].committed = true;
            self.pool.commit(grant);
        } else {
            self.granted.remove(at);
            self.pool.release(grant);
        }
    }

    /// Adopts what the committed grants amount to.
    pub(crate) fn adopt_what_is_on_record(&mut self) {
        for (&key, terms) in &self.keys {
            let committed = || self.granted.iter().filter(move |e| e.committed && e.key == key);
            let budget = newest(committed().map(|entry| entry.budget_since));
            let features = self.tiers[&terms.tier].keys().map(|&feature| {
                let of_feature = || committed().filter(move |entry| entry.feature == feature);
                let rate = newest(of_feature().map(|entry| Some(entry.rate_since)));
                let last_grant = of_feature().map(|entry| entry.id).max();
                FeatureTally { feature, rate, last_grant }
            });
            self.pool.adopt(key, budget, &features.collect::<Vec<_>>());
        }
    }

    /// Every window of every key and feature holds at most its calls, and the next opens after it ended.
    pub(crate) fn check_rates(&self) {
        let mut windows: BTreeMap<(KeyNo, FeatureNo), BTreeMap<Timestamp, u64>> = BTreeMap::new();
        for entry in &self.granted {
            let limit = self.tiers[&self.keys[&entry.key].tier][&entry.feature];
            assert!(entry.rate_since <= entry.id.at());
            assert!(entry.id.at() < entry.rate_since.saturating_add(limit.window));
            let of_key = windows.entry((entry.key, entry.feature)).or_default();
            *of_key.entry(entry.rate_since).or_default() += 1;
        }
        for ((key, feature), windows) in windows {
            let limit = self.tiers[&self.keys[&key].tier][&feature];
            assert!(windows.values().all(|&count| count <= limit.calls), "{key:?} {windows:?}");
            let starts: Vec<Timestamp> = windows.into_keys().collect();
            let apart = |w: &[Timestamp]| w[0].saturating_add(limit.window) <= w[1];
            assert!(starts.windows(2).all(apart), "{starts:?}");
        }
    }

    /// The same of every key with a budget.
    pub(crate) fn check_budgets(&self) {
        for (key, terms) in &self.keys {
            let Some(budget) = terms.budget else { continue };
            let mut windows: BTreeMap<Option<Timestamp>, u64> = BTreeMap::new();
            for entry in self.granted.iter().filter(|entry| entry.key == *key) {
                *windows.entry(entry.budget_since).or_default() += 1;
                let end = entry.budget_since.zip(budget.window).map(|(s, w)| s.saturating_add(w));
                assert!(end.is_none_or(|end| entry.id.at() < end));
                assert_eq!(end.is_some(), budget.window.is_some());
            }
            assert!(windows.values().all(|&count| count <= budget.units), "{key:?} {windows:?}");
            let starts: Vec<Timestamp> = windows.into_keys().flatten().collect();
            for pair in starts.windows(2) {
                assert!(budget.window.is_some_and(|w| pair[0].saturating_add(w) <= pair[1]));
            }
        }
    }
}

/// The newest window and its count.
fn newest(windows: impl Iterator<Item = Option<Timestamp>>) -> Tally {
    let mut counts: BTreeMap<Option<Timestamp>, u64> = BTreeMap::new();
    for since in windows {
        *counts.entry(since).or_default() += 1;
    }
    counts.pop_last().map_or(Tally::default(), |(since, count)| Tally { since, count })
}
