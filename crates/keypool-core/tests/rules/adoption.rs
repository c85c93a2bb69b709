//! Taking over what is on record while grants are outstanding.

use keypool_core::{
    BudgetUsage, FeatureTally, GrantId, KeyNo, Limit, Pool, Refusal, ReplicaNo, Tally,
};

use crate::{
    CRAWL, PLENTY, SEARCH, TIER, at, draw, draws, for_life, free, per, pool, pool_of, rate,
    reserve, with_budget,
};

const KEY: KeyNo = KeyNo::new(1);

fn tally(since: i64, count: u64) -> Tally {
    Tally { since: Some(at(since)), count }
}

fn adopt_rate(pool: &mut Pool, rate: Tally) {
    let search = FeatureTally { feature: SEARCH, rate, last_grant: None };
    pool.adopt(KEY, Tally::default(), &[search]);
}

#[test]
fn an_outstanding_grant_is_counted_on_top_of_the_adopted_window_unless_apart_from_it() {
    // a window of 100, the grant drawn at 1000: where it counts beside 3 on record since …
    let table = [
        (901, "inside: the adopted window ends at 1001", 901, 4),
        (950, "inside", 950, 4),
        (1_000, "the same window", 1_000, 4),
        (1_050, "the grant's window overlaps", 1_050, 4),
        (1_099, "the grant's window overlaps", 1_099, 4),
        (1_100, "the grant's window had ended", 1_100, 3),
        (900, "the grant's window lies beyond", 1_000, 1),
        (1, "the grant's window lies beyond", 1_000, 1),
    ];
    for (since, why, window, used) in table {
        let mut pool = pool(&[(SEARCH, rate(PLENTY, 100))], &[with_budget(per(100, PLENTY))]);
        let grant = reserve(&mut pool, SEARCH, 1_000);
        let search = FeatureTally { feature: SEARCH, rate: tally(since, 3), last_grant: None };
        pool.adopt(KEY, tally(since, 3), &[search]);
        let now = at(window + 99);
        assert_eq!(pool.rate_usage(KEY, SEARCH, now), used, "{since}: {why}");
        let expected = BudgetUsage { used, resets_at: Some(at(window + 100)) };
        assert_eq!(pool.budget_usage(KEY, now), Some(expected), "{since}: {why}");
        pool.commit(grant);
        assert_eq!(pool.rate_usage(KEY, SEARCH, now), used, "{since}: committed");
    }
}

#[test]
fn a_release_after_an_adoption_leaves_what_is_on_record() {
    for (since, now) in [(950, 1_000), (1_000, 1_000), (1_050, 1_060), (1_100, 1_150), (900, 950)] {
        let mut pool = pool_of(1, rate(PLENTY, 100));
        let grant = reserve(&mut pool, SEARCH, 1_000);
        adopt_rate(&mut pool, tally(since, 3));
        pool.release(grant);
        assert_eq!(pool.rate_usage(KEY, SEARCH, at(now)), 3, "on record since {since}");
    }
}

#[test]
fn adopting_blocks_and_frees_at_once() {
    let mut pool = pool(&[(SEARCH, rate(2, 100)), (CRAWL, rate(PLENTY, 100))], &[free()]);
    adopt_rate(&mut pool, tally(50, 2));
    let until = at(150);
    assert_eq!(draw(&mut pool, SEARCH, 60), Err(Refusal::Spent { limit: Limit::Rate, until }));
    adopt_rate(&mut pool, tally(50, 1));
    assert_eq!(draw(&mut pool, SEARCH, 60), Ok(1));

    pool.put_key(KEY, with_budget(for_life(5)));
    pool.adopt(KEY, Tally { since: None, count: 5 }, &[]);
    for feature in [SEARCH, CRAWL] {
        assert_eq!(draw(&mut pool, feature, 500), Err(Refusal::NoUsableKey));
    }
    pool.adopt(KEY, Tally { since: None, count: 4 }, &[]);
    assert_eq!(draw(&mut pool, CRAWL, 500), Ok(1));
}

#[test]
fn a_budget_for_life_has_no_window_whatever_is_on_record() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(for_life(5))]);
    pool.adopt(KEY, tally(50, 3), &[]);
    assert_eq!(pool.budget_usage(KEY, at(0)), Some(BudgetUsage { used: 3, resets_at: None }));
    let grant = reserve(&mut pool, SEARCH, 60);
    assert_eq!(grant.budget_since(), None);
    pool.commit(grant);
    assert_eq!(pool.budget_usage(KEY, at(60)).map(|usage| usage.used), Some(4));
}

#[test]
fn the_turn_is_the_later_of_the_adopted_grant_and_the_outstanding_ones() {
    let mut pool = pool_of(2, rate(PLENTY, 1));
    let outstanding = reserve(&mut pool, SEARCH, 10);
    let last = |millis| GrantId::compose(at(millis), ReplicaNo::new(3).unwrap(), 0);
    let adopted =
        |millis| FeatureTally { feature: SEARCH, rate: Tally::default(), last_grant: last(millis) };
    pool.adopt(KEY, Tally::default(), &[adopted(5)]);
    pool.adopt(KeyNo::new(2), Tally::default(), &[adopted(7)]);
    assert_eq!(draws(&mut pool.clone(), SEARCH, 10, 2), [2, 1]);
    pool.release(outstanding);
    assert_eq!(draws(&mut pool, SEARCH, 10, 2), [1, 2]);
}

#[test]
fn what_is_on_record_of_a_feature_not_covered_is_kept_for_when_it_is() {
    let mut pool = pool_of(1, rate(PLENTY, 1));
    let crawl = FeatureTally { feature: CRAWL, rate: tally(0, 1), last_grant: None };
    pool.adopt(KEY, Tally::default(), &[crawl]);
    pool.put_tier(TIER, &[(CRAWL, rate(1, 100))]);
    let until = at(100);
    assert_eq!(draw(&mut pool, CRAWL, 1), Err(Refusal::Spent { limit: Limit::Rate, until }));
}

#[test]
fn an_unknown_key_is_left_out_but_its_grants_are_remembered() {
    let mut pool = pool_of(1, rate(PLENTY, 1));
    let last_grant = Some(GrantId::new(77 << 21));
    let search = FeatureTally { feature: SEARCH, rate: tally(0, 1), last_grant };
    pool.adopt(KeyNo::new(9), tally(0, 1), &[search]);
    assert_eq!(pool.budget_usage(KeyNo::new(9), at(0)), None);
    assert_eq!(pool.latest_grant(), last_grant);
    assert_eq!(reserve(&mut pool, SEARCH, 1).at(), at(77));
}
