//! The pool as one would write it without a thought for speed: lists, and every question answered by a scan.

mod changes;

use std::collections::BTreeMap;

use keypool_core::{
    Access, Budget, Condition, FeatureNo, GrantId, KeyNo, KeyTerms, Limit, RateLimit, Refusal,
    Tally, TierNo, Timestamp,
};

/// The replica that both pools are.
pub(crate) const REPLICA: u16 = 1;

#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) latest: Option<i64>,
    pub(crate) tiers: BTreeMap<TierNo, BTreeMap<FeatureNo, RateLimit>>,
    pub(crate) keys: BTreeMap<KeyNo, NaiveKey>,
}

pub(crate) struct NaiveKey {
    pub(crate) terms: KeyTerms,
    pub(crate) budget: Tally,
    pub(crate) features: BTreeMap<FeatureNo, NaiveFeature>,
    pub(crate) outstanding: Vec<Outstanding>,
}

#[derive(Default)]
pub(crate) struct NaiveFeature {
    pub(crate) rate: Tally,
    pub(crate) last: Option<GrantId>,
    /// The window's length as the tier had it last.
    pub(crate) window: Option<i64>,
}

pub(crate) struct Outstanding {
    id: GrantId,
    feature: FeatureNo,
    rate_since: Option<Timestamp>,
    budget_since: Option<Timestamp>,
}

/// What a draw of the model says.
pub(crate) type Answer = Result<(GrantId, KeyNo, Option<Timestamp>, Option<Timestamp>), Refusal>;

/// The millisecond at which a window ends.
fn end(since: Timestamp, window: i64) -> i64 {
    let end = i128::from(since.as_millis()) + i128::from(window);
    i64::try_from(end).unwrap_or(i64::MAX)
}

/// The newest window among what is committed and what is reserved, and what was granted in it.
fn newest(committed: Tally, reserved: &[Option<Timestamp>]) -> Tally {
    let since = reserved.iter().copied().chain([committed.since]).max().flatten();
    let in_it = reserved.iter().filter(|own| **own == since).count() as u64;
    let count = if committed.since == since { committed.count } else { 0 };
    Tally { since, count: count.saturating_add(in_it) }
}

/// What is used at `at` of a counter with windows or for life.
fn used_at(tally: Tally, window: Option<i64>, at: i64) -> u64 {
    match (window, tally.since) {
        (None, _) => tally.count,
        (Some(window), Some(since)) if at < end(since, window) => tally.count,
        _ => 0,
    }
}

fn budget_window(budget: Option<Budget>) -> Option<i64> {
    budget.and_then(|budget| budget.window).map(|window| window.as_millis())
}

impl NaiveKey {
    fn rate(&self, feature: FeatureNo) -> Tally {
        let of_feature = self.outstanding.iter().filter(|o| o.feature == feature);
        let reserved: Vec<_> = of_feature.map(|o| o.rate_since).collect();
        newest(self.features.get(&feature).map(|f| f.rate).unwrap_or_default(), &reserved)
    }

    fn budget(&self) -> Tally {
        newest(self.budget, &self.outstanding.iter().map(|o| o.budget_since).collect::<Vec<_>>())
    }

    fn budget_used(&self, at: i64) -> u64 {
        used_at(self.budget(), budget_window(self.terms.budget), at)
    }

    fn budget_has_room(&self, at: i64) -> bool {
        self.terms.budget.is_none_or(|budget| self.budget_used(at) < budget.units)
    }

    fn rate_has_room(&self, feature: FeatureNo, limit: RateLimit, at: i64) -> bool {
        used_at(self.rate(feature), Some(limit.window.as_millis()), at) < limit.calls
    }

    fn serves(&self, feature: FeatureNo, limit: RateLimit, at: i64) -> bool {
        let expired = self.terms.expires_at.is_some_and(|expires_at| at >= expires_at.as_millis());
        self.terms.active
            && !expired
            && self.budget_has_room(at)
            && self.rate_has_room(feature, limit, at)
    }

    fn last(&self, feature: FeatureNo) -> Option<GrantId> {
        let outstanding =
            self.outstanding.iter().filter(|o| o.feature == feature).map(|o| o.id).max();
        outstanding.max(self.features.get(&feature).and_then(|f| f.last))
    }
}

impl Naive {
    /// The smallest id of this replica above all others, no earlier than `now`.
    fn next_id(&self, now: Timestamp) -> Option<GrantId> {
        let last_at = GrantId::LAST_AT.as_millis();
        let above = self.latest.map_or(0, |latest| i128::from(latest) + 1).max(0);
        let from = i128::from(now.as_millis().clamp(0, last_at)).max(above >> 21);
        [from, from + 1].into_iter().find_map(|millis| {
            let block = (millis << 21) + (i128::from(REPLICA) << 11);
            let id = block.max(above);
            (millis <= i128::from(last_at) && id <= block + 2047)
                .then(|| GrantId::new(i64::try_from(id).expect("63 bits")))
        })
    }

    fn covering(&self, access: Access<'_>, feature: FeatureNo) -> Vec<(TierNo, RateLimit)> {
        let may = |tier: &TierNo| match access {
            Access::All => true,
            Access::Tiers(tiers) => tiers.contains(tier),
        };
        let tiers = self.tiers.iter().filter(|(tier, _)| may(tier));
        tiers.filter_map(|(tier, features)| Some((*tier, *features.get(&feature)?))).collect()
    }

    /// What a draw answers; changes nothing.
    pub(crate) fn decide(&self, access: Access<'_>, feature: FeatureNo, now: Timestamp) -> Answer {
        let tiers = self.covering(access, feature);
        if tiers.is_empty() {
            return Err(Refusal::NotCovered);
        }
        let Some(id) = self.next_id(now) else { return Err(Refusal::NoUsableKey) };
        let at = id.at().as_millis();
        let candidates: Vec<(KeyNo, &NaiveKey, RateLimit)> = tiers
            .iter()
            .flat_map(|(tier, limit)| {
                let keys = self.keys.iter().filter(move |(_, key)| key.terms.tier == *tier);
                keys.map(move |(no, key)| (*no, key, *limit))
            })
            .collect();
        let due = candidates.iter().filter(|(_, key, limit)| key.serves(feature, *limit, at));
        let Some((no, key, limit)) = due.min_by_key(|(no, key, _)| (key.last(feature), *no)) else {
            return Err(first_moment(&candidates, feature, at));
        };
        let window = |tally: Tally, length: Option<i64>| match (length, tally.since) {
            (None, _) => None,
            (Some(length), Some(since)) if at < end(since, length) => Some(since),
            _ => Some(id.at()),
        };
        let rate = window(key.rate(feature), Some(limit.window.as_millis()));
        Ok((id, *no, rate, window(key.budget(), budget_window(key.terms.budget))))
    }

    pub(crate) fn budget_usage(
        &self,
        no: KeyNo,
        now: Timestamp,
    ) -> Option<(u64, Option<Timestamp>)> {
        let key = self.keys.get(&no)?;
        let ends = key
            .budget()
            .since
            .zip(budget_window(key.terms.budget))
            .map(|(since, window)| end(since, window));
        let ends = ends.filter(|end| now.as_millis() < *end).map(Timestamp::from_millis);
        Some((key.budget_used(now.as_millis()), ends))
    }

    pub(crate) fn rate_usage(&self, no: KeyNo, feature: FeatureNo, now: Timestamp) -> u64 {
        let Some(key) = self.keys.get(&no) else { return 0 };
        let limit = self.tiers.get(&key.terms.tier).and_then(|features| features.get(&feature));
        let window = limit.map(|limit| limit.window.as_millis());
        window.map_or(0, |window| used_at(key.rate(feature), Some(window), now.as_millis()))
    }
}

impl Naive {
    /// How a key stands for each feature that its tier covers.
    pub(crate) fn conditions(&self, no: KeyNo, now: Timestamp) -> Vec<(FeatureNo, Condition)> {
        let Some(key) = self.keys.get(&no) else { return Vec::new() };
        let at = now.as_millis().clamp(0, GrantId::LAST_AT.as_millis());
        let features = self.tiers.get(&key.terms.tier).into_iter().flatten();
        let condition = |(feature, limit): (&FeatureNo, &RateLimit)| {
            let condition = if key.serves(*feature, *limit, at) {
                Condition::Usable
            } else {
                match first_moment(&[(no, key, *limit)], *feature, at) {
                    Refusal::Spent { limit: Limit::Rate, .. } => Condition::RateLimited,
                    Refusal::Spent { limit: Limit::Budget, .. } => Condition::BudgetSpent,
                    Refusal::NoUsableKey | Refusal::NotCovered => Condition::Unusable,
                }
            };
            (*feature, condition)
        };
        features.map(condition).collect()
    }
}

/// The first moment at which any of the keys serves, found by trying every moment at which a window ends.
fn first_moment(
    candidates: &[(KeyNo, &NaiveKey, RateLimit)],
    feature: FeatureNo,
    at: i64,
) -> Refusal {
    let mut first: Option<(i64, KeyNo, Limit)> = None;
    for (no, key, limit) in candidates {
        let rate_end = key.rate(feature).since.map(|since| end(since, limit.window.as_millis()));
        let budget_end =
            key.budget().since.zip(budget_window(key.terms.budget)).map(|(s, w)| end(s, w));
        for until in [rate_end, budget_end].into_iter().flatten() {
            let can_be = until > at && until <= GrantId::LAST_AT.as_millis();
            if can_be && key.serves(feature, *limit, until) {
                let binds =
                    if key.budget_has_room(until - 1) { Limit::Rate } else { Limit::Budget };
                let found = (until, *no, binds);
                first =
                    Some(first.map_or(found, |f| {
                        if (found.0, found.1) < (f.0, f.1) { found } else { f }
                    }));
            }
        }
    }
    first.map_or(Refusal::NoUsableKey, |(until, _, limit)| Refusal::Spent {
        limit,
        until: Timestamp::from_millis(until),
    })
}
