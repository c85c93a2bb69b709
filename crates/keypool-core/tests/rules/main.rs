//! Each rule of the draw on its own, by example.

mod adoption;
mod changes;
mod limits;
mod refusals;
mod turns;

use keypool_core::{
    Access, Budget, FeatureNo, Grant, KeyNo, KeyTerms, Period, Pool, RateLimit, Refusal, ReplicaNo,
    TierNo, Timestamp,
};

const TIER: TierNo = TierNo::new(1);
const OTHER_TIER: TierNo = TierNo::new(2);
const SEARCH: FeatureNo = FeatureNo::new(1);
const CRAWL: FeatureNo = FeatureNo::new(2);
/// More calls than a test makes.
const PLENTY: u64 = 1_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn period(millis: i64) -> Period {
    Period::from_millis(millis).expect("a window is at least a millisecond")
}

fn rate(calls: u64, window_millis: i64) -> RateLimit {
    RateLimit { calls, window: period(window_millis) }
}

fn for_life(units: u64) -> Option<Budget> {
    Some(Budget { units, window: None })
}

fn per(window_millis: i64, units: u64) -> Option<Budget> {
    Some(Budget { units, window: Some(period(window_millis)) })
}

/// A key of the first tier without limits of its own.
fn free() -> KeyTerms {
    KeyTerms { tier: TIER, active: true, expires_at: None, budget: None }
}

fn with_budget(budget: Option<Budget>) -> KeyTerms {
    KeyTerms { budget, ..free() }
}

/// A pool of one tier with these features, and of these keys, numbered from 1.
fn pool(features: &[(FeatureNo, RateLimit)], keys: &[KeyTerms]) -> Pool {
    let mut pool = Pool::new(ReplicaNo::new(0).expect("0 is a replica"));
    pool.put_tier(TIER, features);
    for (no, terms) in (1..).zip(keys) {
        pool.put_key(KeyNo::new(no), *terms);
    }
    pool
}

/// A pool of one tier with one feature of this rate, and of so many keys.
fn pool_of(keys: usize, limit: RateLimit) -> Pool {
    pool(&[(SEARCH, limit)], &vec![free(); keys])
}

fn reserve(pool: &mut Pool, feature: FeatureNo, now: i64) -> Grant {
    pool.draw(Access::All, feature, at(now)).expect("a key is free")
}

/// Draws and commits; answers the key's number.
fn draw(pool: &mut Pool, feature: FeatureNo, now: i64) -> Result<i64, Refusal> {
    let grant = pool.draw(Access::All, feature, at(now))?;
    let key = grant.key().get();
    pool.commit(grant);
    Ok(key)
}

/// Draws so many times at one moment; answers the keys' numbers.
fn draws(pool: &mut Pool, feature: FeatureNo, now: i64, times: usize) -> Vec<i64> {
    (0..times).map(|_| draw(pool, feature, now).expect("a key is free")).collect()
}
