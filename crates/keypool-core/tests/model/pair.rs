//! The pool and the model side by side, and a pool that is never asked what it would refuse.

use keypool_core::{
    Access, FeatureNo, FeatureTally, Grant, GrantId, KeyNo, KeyTerms, Pool, RateLimit, Refusal,
    ReplicaNo, Tally, TierNo, Timestamp,
};

use crate::naive::{Answer, Naive, REPLICA};
use crate::steps::{FEATURES, KEYS, Step, TIERS};

pub(crate) struct Pair {
    now: i64,
    pool: Pool,
    /// Takes the same steps, refused draws left out.
    unasked: Pool,
    model: Naive,
    /// What both pools granted and nobody ended yet.
    outstanding: Vec<(Grant, Grant)>,
}

fn seen(grant: &Grant) -> Answer {
    Ok((grant.id(), grant.key(), Some(grant.rate_since()), grant.budget_since()))
}

fn millis(from: i64, off: i64) -> Timestamp {
    Timestamp::from_millis(from.saturating_add(off))
}

impl Pair {
    pub(crate) fn new(now: i64) -> Pair {
        let pool = Pool::new(ReplicaNo::new(REPLICA).expect("at most 1023"));
        let (unasked, model) = (pool.clone(), Naive::default());
        Pair { now, pool, unasked, model, outstanding: Vec::new() }
    }

    pub(crate) fn fill(
        &mut self,
        tiers: Vec<(TierNo, Vec<(FeatureNo, RateLimit)>)>,
        keys: Vec<KeyTerms>,
    ) {
        for (tier, features) in tiers {
            self.take(Step::PutTier(tier, features));
        }
        for (no, terms) in (1..).zip(keys) {
            self.take(Step::PutKey(KeyNo::new(no), terms));
        }
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Wait(wait) => self.now = self.now.saturating_add(wait),
            Step::Draw { tiers, feature, off } => {
                let access = tiers.as_deref().map_or(Access::All, Access::Tiers);
                self.draw(access, feature, millis(self.now, off));
            }
            Step::Commit(nth) => self.settle(nth, true),
            Step::Release(nth) => self.settle(nth, false),
            Step::Adopt { key, budget, features } => self.adopt(key, budget, features),
            Step::Strike(key, count) => {
                let now = Timestamp::from_millis(self.now);
                self.model.strike(key, count, now);
                self.pool.strike_balance(key, count, now);
                self.unasked.strike_balance(key, count, now);
            }
            Step::PutTier(tier, features) => {
                self.model.put_tier(tier, &features);
                self.pool.put_tier(tier, &features);
                self.unasked.put_tier(tier, &features);
            }
            Step::RemoveTier(tier) => {
                let removed = self.model.remove_tier(tier);
                assert_eq!(self.pool.remove_tier(tier).is_ok(), removed, "{tier:?} removed");
                assert_eq!(self.unasked.remove_tier(tier).is_ok(), removed);
            }
            Step::PutKey(key, terms) => {
                let expires_at = terms.expires_at.map(|off| millis(self.now, off.as_millis()));
                let terms = KeyTerms { expires_at, ..terms };
                self.model.put_key(key, terms);
                self.pool.put_key(key, terms);
                self.unasked.put_key(key, terms);
            }
            Step::RemoveKey(key) => {
                let removed = self.model.remove_key(key);
                assert_eq!(self.pool.remove_key(key), removed, "{key:?} removed");
                assert_eq!(self.unasked.remove_key(key), removed);
            }
        }
    }

    fn draw(&mut self, access: Access<'_>, feature: FeatureNo, now: Timestamp) {
        let expected = self.model.decide(access, feature, now);
        let drawn = self.pool.draw(access, feature, now);
        let answer = drawn.as_ref().map_err(|refusal| *refusal).and_then(seen);
        assert_eq!(answer, expected, "drawn at {now:?} from {access:?}");
        match drawn {
            Ok(grant) => {
                self.model.grant(feature, &expected);
                let other = self.unasked.draw(access, feature, now).expect("was granted beside");
                assert_eq!(seen(&other), expected, "no refusal changed anything");
                self.outstanding.push((grant, other));
            }
            Err(refusal) => self.probe(access, feature, now, refusal),
        }
    }

    /// Holds a refusal to its word (promise 7).
    fn probe(&self, access: Access<'_>, feature: FeatureNo, now: Timestamp, refusal: Refusal) {
        let mut later = self.pool.clone();
        match refusal {
            Refusal::NotCovered => assert!(!self.pool.covers(access, feature)),
            Refusal::NoUsableKey => {
                let at_last = later.draw(access, feature, GrantId::LAST_AT).err();
                assert_eq!(at_last, Some(Refusal::NoUsableKey), "time heals nothing");
            }
            Refusal::Spent { until, .. } => {
                assert!(until > now);
                let just_before = millis(until.as_millis(), -1);
                assert_eq!(
                    later.draw(access, feature, just_before).err(),
                    Some(refusal),
                    "a ms before"
                );
                let grant = later.draw(access, feature, until).expect("at the moment it named");
                let key = grant.key();
                later.release(grant);
                let again = later.draw(access, feature, until).expect("its release gave it back");
                assert_eq!(again.key(), key);
                later.commit(again);
            }
        }
    }

    fn settle(&mut self, nth: usize, committed: bool) {
        if self.outstanding.is_empty() {
            return;
        }
        let (grant, other) = self.outstanding.remove(nth % self.outstanding.len());
        self.model.settle(grant.key(), grant.id(), committed);
        if committed {
            self.pool.commit(grant);
            self.unasked.commit(other);
        } else {
            self.pool.release(grant);
            self.unasked.release(other);
        }
    }

    fn adopt(&mut self, key: KeyNo, budget: Tally, mut features: Vec<FeatureTally>) {
        let absolute = |tally: Tally| {
            let since = tally.since.map(|off| millis(self.now, off.as_millis()));
            Tally { since, ..tally }
        };
        let budget = absolute(budget);
        for tally in &mut features {
            tally.rate = absolute(tally.rate);
        }
        self.model.adopt(key, budget, &features);
        self.pool.adopt(key, budget, &features);
        self.unasked.adopt(key, budget, &features);
    }

    /// Compares every reading, and what every draw would answer now.
    pub(crate) fn compare(&self) {
        let now = Timestamp::from_millis(self.now);
        assert_eq!(self.pool.latest_grant().map(GrantId::get), self.model.latest);
        for key in (0..=KEYS).map(KeyNo::new) {
            let usage = self.pool.budget_usage(key, now).map(|usage| (usage.used, usage.resets_at));
            assert_eq!(usage, self.model.budget_usage(key, now), "budget of {key:?}");
            for feature in (0..=FEATURES).map(FeatureNo::new) {
                let used = self.pool.rate_usage(key, feature, now);
                assert_eq!(used, self.model.rate_usage(key, feature, now), "{key:?} {feature:?}");
            }
            let conditions: Vec<_> = self.pool.conditions(key, now).collect();
            assert_eq!(conditions, self.model.conditions(key, now), "{key:?} at {now:?}");
        }
        let each = [1, 2, TIERS].map(TierNo::new);
        for feature in (0..=FEATURES).map(FeatureNo::new) {
            for access in [Access::All, Access::Tiers(&each[..1]), Access::Tiers(&each[1..])] {
                let drawn = self.pool.clone().draw(access, feature, now);
                let answer = drawn.as_ref().map_err(|refusal| *refusal).and_then(seen);
                assert_eq!(answer, self.model.decide(access, feature, now), "would be drawn");
            }
        }
    }
}
