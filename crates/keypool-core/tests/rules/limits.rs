//! What a key may not pass (promise 1).

use keypool_core::{BudgetUsage, KeyNo, KeyTerms, Limit, Refusal, Timestamp};

use crate::{
    CRAWL, PLENTY, SEARCH, at, draw, draws, for_life, free, per, pool, pool_of, rate, reserve,
    with_budget,
};

fn spent(limit: Limit, until: i64) -> Result<i64, Refusal> {
    Err(Refusal::Spent { limit, until: at(until) })
}

#[test]
fn a_rate_holds_in_windows_that_the_first_grant_opens() {
    let mut pool = pool_of(1, rate(2, 100));
    let table = [
        (50, Ok(1)),
        (149, Ok(1)),
        (149, spent(Limit::Rate, 150)),
        (150, Ok(1)),
        (249, Ok(1)),
        (249, spent(Limit::Rate, 250)),
        (1_000, Ok(1)),
        (1_099, Ok(1)),
        (1_099, spent(Limit::Rate, 1_100)),
    ];
    for (now, expected) in table {
        assert_eq!(draw(&mut pool, SEARCH, now), expected, "at {now}");
    }
}

#[test]
fn a_rate_counts_for_its_feature_alone_and_a_budget_for_all() {
    let mut pool =
        pool(&[(SEARCH, rate(1, 100)), (CRAWL, rate(PLENTY, 100))], &[with_budget(for_life(3))]);
    assert_eq!(draw(&mut pool, SEARCH, 1), Ok(1));
    assert_eq!(draw(&mut pool, SEARCH, 1), spent(Limit::Rate, 101));
    assert_eq!(draws(&mut pool, CRAWL, 1, 2), [1, 1]);
    for feature in [SEARCH, CRAWL] {
        assert_eq!(draw(&mut pool, feature, 500), Err(Refusal::NoUsableKey));
    }
}

#[test]
fn a_budget_window_opens_with_the_first_grant_after_the_last_one_ended() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(per(100, 2))]);
    let table = [
        (50, Ok(1)),
        (60, Ok(1)),
        (149, spent(Limit::Budget, 150)),
        (200, Ok(1)),
        (299, Ok(1)),
        (299, spent(Limit::Budget, 300)),
    ];
    for (now, expected) in table {
        assert_eq!(draw(&mut pool, SEARCH, now), expected, "at {now}");
    }
}

#[test]
fn a_time_before_a_windows_start_counts_as_inside() {
    let mut pool = pool_of(1, rate(1, 100));
    let tally = keypool_core::Tally { since: Some(at(1_000)), count: 1 };
    let search = keypool_core::FeatureTally { feature: SEARCH, rate: tally, last_grant: None };
    pool.adopt(KeyNo::new(1), keypool_core::Tally::default(), &[search]);
    assert_eq!(draw(&mut pool, SEARCH, 10), spent(Limit::Rate, 1_100));
    assert_eq!(pool.rate_usage(KeyNo::new(1), SEARCH, at(10)), 1);
}

#[test]
fn no_key_is_granted_from_its_expiry_on() {
    let expiring = KeyTerms { expires_at: Some(at(100)), ..free() };
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[expiring, free()]);
    assert_eq!(draws(&mut pool, SEARCH, 99, 3), [1, 2, 1]);
    assert_eq!(draws(&mut pool, SEARCH, 100, 2), [2, 2]);
}

#[test]
fn a_clock_that_ran_back_before_an_expiry_finds_the_key_usable() {
    let expiring = KeyTerms { expires_at: Some(at(100)), ..free() };
    let mut pool = pool(&[(SEARCH, rate(1, 10))], &[expiring]);
    assert_eq!(draw(&mut pool, SEARCH, 5), Ok(1));
    assert_eq!(draw(&mut pool, SEARCH, 100), Err(Refusal::NoUsableKey));
    assert_eq!(draw(&mut pool, SEARCH, 6), spent(Limit::Rate, 15));
    assert_eq!(draw(&mut pool, SEARCH, 200), Err(Refusal::NoUsableKey));
    assert_eq!(draw(&mut pool, SEARCH, 99), Ok(1));
}

#[test]
fn keys_that_time_does_not_heal_are_not_granted() {
    let table = [
        KeyTerms { active: false, ..free() },
        KeyTerms { expires_at: Some(Timestamp::MIN), ..free() },
        KeyTerms { expires_at: Some(at(0)), ..free() },
        with_budget(for_life(0)),
        with_budget(per(100, 0)),
    ];
    for terms in table {
        let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[terms]);
        assert_eq!(draw(&mut pool, SEARCH, 1), Err(Refusal::NoUsableKey), "{terms:?}");
    }
    assert_eq!(draw(&mut pool_of(1, rate(0, 100)), SEARCH, 1), Err(Refusal::NoUsableKey));
}

#[test]
fn reserved_grants_count_and_released_ones_do_not() {
    let mut pool = pool(&[(SEARCH, rate(2, 100))], &[with_budget(for_life(2))]);
    let (first, second) = (reserve(&mut pool, SEARCH, 1), reserve(&mut pool, SEARCH, 1));
    let used = |pool: &keypool_core::Pool| {
        let budget = pool.budget_usage(KeyNo::new(1), at(1)).unwrap().used;
        (budget, pool.rate_usage(KeyNo::new(1), SEARCH, at(1)))
    };
    assert_eq!(used(&pool), (2, 2));
    assert_eq!(draw(&mut pool, SEARCH, 1), Err(Refusal::NoUsableKey));
    pool.commit(second);
    assert_eq!(used(&pool), (2, 2));
    pool.release(first);
    assert_eq!(used(&pool), (1, 1));
    assert_eq!(draw(&mut pool, SEARCH, 1), Ok(1));
}

#[test]
fn a_refused_draw_uses_up_nothing_of_the_limits_that_had_room() {
    let features = [(SEARCH, rate(1, 100)), (CRAWL, rate(1, 1_000))];
    let mut pool = pool(&features, &[with_budget(per(50, 1))]);
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
    for now in 0..50 {
        assert_eq!(draw(&mut pool, CRAWL, now), spent(Limit::Budget, 50));
    }
    assert_eq!(pool.rate_usage(KeyNo::new(1), CRAWL, at(49)), 0);
    assert_eq!(draw(&mut pool, CRAWL, 50), Ok(1));
}

#[test]
fn a_window_whose_only_grant_was_released_was_never_open() {
    let mut pool = pool(&[(SEARCH, rate(1, 100))], &[with_budget(per(100, 1))]);
    let grant = reserve(&mut pool, SEARCH, 10);
    assert_eq!((grant.rate_since(), grant.budget_since()), (at(10), Some(at(10))));
    pool.release(grant);
    let usage = pool.budget_usage(KeyNo::new(1), at(10));
    assert_eq!(usage, Some(BudgetUsage { used: 0, resets_at: None }));
    let grant = reserve(&mut pool, SEARCH, 90);
    assert_eq!((grant.rate_since(), grant.budget_since()), (at(90), Some(at(90))));
}

#[test]
fn grants_end_in_any_order_over_several_windows() {
    let mut pool = pool(&[(SEARCH, rate(1, 10))], &[with_budget(per(25, 3))]);
    let [a, b, c, d] = [0, 10, 20, 30].map(|now| reserve(&mut pool, SEARCH, now));
    assert_eq!(d.budget_since(), Some(at(30)));
    pool.release(d);
    let usage = pool.budget_usage(KeyNo::new(1), at(24)).unwrap();
    assert_eq!(usage, BudgetUsage { used: 3, resets_at: Some(at(25)) });
    pool.commit(c);
    pool.commit(a);
    assert_eq!(pool.rate_usage(KeyNo::new(1), SEARCH, at(29)), 1, "the window of the third");
    pool.release(b);
    let usage = pool.budget_usage(KeyNo::new(1), at(24)).unwrap();
    assert_eq!(usage, BudgetUsage { used: 2, resets_at: Some(at(25)) });
}

#[test]
fn a_key_without_a_budget_is_counted_for_life() {
    let mut pool = pool_of(1, rate(PLENTY, 1));
    draws(&mut pool, SEARCH, 1, 7);
    let usage = pool.budget_usage(KeyNo::new(1), Timestamp::MAX);
    assert_eq!(usage, Some(BudgetUsage { used: 7, resets_at: None }));
    assert_eq!(pool.budget_usage(KeyNo::new(2), at(1)), None);
}

#[test]
fn huge_windows_and_limits_hold() {
    let hundred_centuries = rate(1, 9_300_000_000_000 * 34);
    let mut pool = pool_of(1, hundred_centuries);
    assert_eq!(draw(&mut pool, SEARCH, 1), Ok(1));
    assert_eq!(draw(&mut pool, SEARCH, i64::MAX), Err(Refusal::NoUsableKey));

    let mut pool = pool_of(1, rate(u64::MAX, i64::MAX));
    pool.put_key(KeyNo::new(1), with_budget(per(i64::MAX, u64::MAX)));
    assert_eq!(draws(&mut pool, SEARCH, i64::MAX, 2), [1, 1]);
    let usage = pool.budget_usage(KeyNo::new(1), Timestamp::MIN).unwrap();
    assert_eq!(usage, BudgetUsage { used: 2, resets_at: Some(Timestamp::MAX) });
}

#[test]
fn no_grant_is_made_once_ids_are_used_up() {
    let mut pool = pool_of(1, rate(PLENTY, 1));
    assert_eq!(draws(&mut pool, SEARCH, i64::MAX, 2_048), [1; 2_048]);
    assert_eq!(draw(&mut pool, SEARCH, i64::MAX), Err(Refusal::NoUsableKey));
    assert_eq!(draw(&mut pool, SEARCH, 0), Err(Refusal::NoUsableKey));
    assert_eq!(draw(&mut pool, CRAWL, 0), Err(Refusal::NotCovered));
}
