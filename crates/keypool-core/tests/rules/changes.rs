//! What an admin changes holds at once (promise 5).

use keypool_core::{BudgetUsage, KeyNo, KeyTerms, Limit, Refusal, TierInUse, TierNo};

use crate::{
    CRAWL, OTHER_TIER, PLENTY, SEARCH, TIER, at, draw, draws, for_life, free, per, pool, pool_of,
    rate, reserve, with_budget,
};

const KEY: KeyNo = KeyNo::new(1);

#[test]
fn a_changed_rate_applies_to_the_window_under_way() {
    let mut pool = pool_of(1, rate(2, 100));
    draws(&mut pool, SEARCH, 0, 2);
    let spent = |until| Err(Refusal::Spent { limit: Limit::Rate, until: at(until) });
    assert_eq!(draw(&mut pool, SEARCH, 1), spent(100));
    pool.put_tier(TIER, &[(SEARCH, rate(2, 50))]);
    assert_eq!(draw(&mut pool, SEARCH, 1), spent(50));
    pool.put_tier(TIER, &[(SEARCH, rate(3, 50))]);
    assert_eq!(draw(&mut pool, SEARCH, 1), Ok(1));
    pool.put_tier(TIER, &[(SEARCH, rate(1, 70))]);
    assert_eq!(draw(&mut pool, SEARCH, 1), spent(70));
    pool.put_tier(TIER, &[(SEARCH, rate(0, 70))]);
    assert_eq!(draw(&mut pool, SEARCH, 1), Err(Refusal::NoUsableKey));
}

#[test]
fn a_changed_budget_applies_to_the_window_under_way() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(per(100, 2))]);
    draws(&mut pool, SEARCH, 0, 2);
    let spent = |until| Err(Refusal::Spent { limit: Limit::Budget, until: at(until) });
    let table = [
        (per(50, 2), spent(50)),
        (per(500, 1), spent(500)),
        (per(500, 3), Ok(1)),
        (per(500, 3), spent(500)),
        (for_life(3), Err(Refusal::NoUsableKey)),
        (for_life(4), Ok(1)),
    ];
    for (budget, expected) in table {
        pool.put_key(KEY, with_budget(budget));
        assert_eq!(draw(&mut pool, SEARCH, 1), expected, "{budget:?}");
    }
}

#[test]
fn a_budget_newly_set_starts_from_nothing() {
    let mut pool = pool_of(1, rate(PLENTY, 1));
    draws(&mut pool, SEARCH, 0, 5);
    pool.put_key(KEY, with_budget(for_life(2)));
    assert_eq!(draws(&mut pool, SEARCH, 0, 2), [1, 1]);
    assert_eq!(draw(&mut pool, SEARCH, 0), Err(Refusal::NoUsableKey));
    pool.put_key(KEY, free());
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
    assert_eq!(pool.budget_usage(KEY, at(0)).map(|usage| usage.used), Some(3));
}

#[test]
fn a_count_that_is_set_holds_for_the_window_under_way_or_for_life() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(per(100, 5))]);
    draws(&mut pool, SEARCH, 10, 3);
    pool.strike_balance(KEY, 4, at(50));
    let usage = |pool: &keypool_core::Pool, now| pool.budget_usage(KEY, at(now)).unwrap();
    assert_eq!(usage(&pool, 50), BudgetUsage { used: 4, resets_at: Some(at(110)) });
    assert_eq!(draw(&mut pool, SEARCH, 50), Ok(1));
    let spent = |until| Err(Refusal::Spent { limit: Limit::Budget, until: at(until) });
    assert_eq!(draw(&mut pool, SEARCH, 50), spent(110));
    pool.strike_balance(KEY, 0, at(60));
    assert_eq!(draws(&mut pool, SEARCH, 60, 5), [1; 5]);
    assert_eq!(draw(&mut pool, SEARCH, 60), spent(110));

    pool.put_key(KEY, with_budget(for_life(5)));
    pool.strike_balance(KEY, 3, at(60));
    assert_eq!(draws(&mut pool, SEARCH, 60, 2), [1; 2]);
    assert_eq!(draw(&mut pool, SEARCH, 60), Err(Refusal::NoUsableKey));
    pool.strike_balance(KEY, 9, at(60));
    assert_eq!(draw(&mut pool, SEARCH, 60), Err(Refusal::NoUsableKey));
    pool.strike_balance(KeyNo::new(9), 9, at(60));
}

#[test]
fn a_count_that_is_set_where_no_window_is_open_opens_one() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(per(100, 2))]);
    draws(&mut pool, SEARCH, 0, 2);
    for (count, now, resets_at) in
        [(0, 100, None), (2, 150, Some(at(250))), (1, 250, Some(at(350)))]
    {
        pool.strike_balance(KEY, count, at(now));
        let usage = BudgetUsage { used: count, resets_at };
        assert_eq!(pool.budget_usage(KEY, at(now)), Some(usage));
    }
    assert_eq!(draw(&mut pool, SEARCH, 349), Ok(1));
    let until = at(350);
    assert_eq!(draw(&mut pool, SEARCH, 349), Err(Refusal::Spent { limit: Limit::Budget, until }));
}

#[test]
fn outstanding_grants_stay_reserved_beside_a_count_that_is_set() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(per(100, 3))]);
    let [kept, taken_back] = [0, 1].map(|now| reserve(&mut pool, SEARCH, now));
    pool.strike_balance(KEY, 1, at(2));
    let until = at(100);
    assert_eq!(draw(&mut pool, SEARCH, 2), Err(Refusal::Spent { limit: Limit::Budget, until }));
    pool.release(taken_back);
    pool.commit(kept);
    assert_eq!(pool.budget_usage(KEY, at(2)).map(|usage| usage.used), Some(2));
}

#[test]
fn a_budget_for_life_that_gets_windows_opens_one_with_the_next_grant() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(for_life(1))]);
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
    pool.put_key(KEY, with_budget(per(100, 1)));
    assert_eq!(draw(&mut pool, SEARCH, 7), Ok(1));
    let usage = pool.budget_usage(KEY, at(7));
    assert_eq!(usage, Some(BudgetUsage { used: 1, resets_at: Some(at(107)) }));
}

#[test]
fn outstanding_grants_stay_reserved_over_a_change_of_windows() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 1))], &[with_budget(for_life(9))]);
    let [first, second, third] = [0, 50, 120].map(|now| reserve(&mut pool, SEARCH, now));
    pool.put_key(KEY, with_budget(per(100, 2)));
    let used = |pool: &keypool_core::Pool| pool.budget_usage(KEY, at(120)).unwrap();
    assert_eq!(used(&pool), BudgetUsage { used: 1, resets_at: Some(at(220)) });
    pool.release(third);
    pool.commit(second);
    let in_first_window = pool.budget_usage(KEY, at(99)).unwrap();
    assert_eq!(in_first_window, BudgetUsage { used: 2, resets_at: Some(at(100)) });
    pool.put_key(KEY, with_budget(for_life(2)));
    assert_eq!(used(&pool), BudgetUsage { used: 2, resets_at: None });
    pool.release(first);
    assert_eq!(draw(&mut pool, SEARCH, 120), Ok(1));
    assert_eq!(draw(&mut pool, SEARCH, 120), Err(Refusal::NoUsableKey));
}

#[test]
fn a_key_that_is_deactivated_or_expires_is_not_granted_and_comes_back_in_its_turn() {
    let mut pool = pool_of(3, rate(PLENTY, 1));
    draws(&mut pool, SEARCH, 0, 3);
    for gone in
        [KeyTerms { active: false, ..free() }, KeyTerms { expires_at: Some(at(0)), ..free() }]
    {
        pool.put_key(KEY, gone);
        assert_eq!(draws(&mut pool, SEARCH, 0, 2), [2, 3]);
        pool.put_key(KEY, free());
        assert_eq!(draws(&mut pool, SEARCH, 0, 3), [1, 2, 3]);
    }
}

#[test]
fn a_removed_key_is_gone_and_its_grants_end_without_effect() {
    let mut pool = pool_of(2, rate(PLENTY, 1));
    let [first, second, third] = [0; 3].map(|now| reserve(&mut pool, SEARCH, now));
    assert_eq!(first.key(), third.key());
    assert!(pool.remove_key(first.key()));
    assert!(!pool.remove_key(first.key()));
    let other = reserve(&mut pool, SEARCH, 0);
    pool.commit(first);
    pool.release(third);
    assert_eq!([second.key(), other.key()], [KeyNo::new(2); 2]);
    assert_eq!(pool.budget_usage(second.key(), at(0)).map(|usage| usage.used), Some(2));
    pool.release(other);
    pool.commit(second);
    assert_eq!(draws(&mut pool, SEARCH, 0, 2), [2, 2]);
    assert!(pool.remove_key(KeyNo::new(2)));
    assert_eq!(draw(&mut pool, SEARCH, 0), Err(Refusal::NoUsableKey));
}

#[test]
fn a_key_that_moves_keeps_its_counts_under_the_other_tiers_rate() {
    let mut pool = pool(&[(SEARCH, rate(2, 100))], &[with_budget(for_life(4))]);
    pool.put_tier(OTHER_TIER, &[(SEARCH, rate(3, 200)), (CRAWL, rate(PLENTY, 1))]);
    draws(&mut pool, SEARCH, 0, 2);
    pool.put_key(KEY, KeyTerms { tier: OTHER_TIER, ..with_budget(for_life(4)) });
    assert_eq!(draw(&mut pool, SEARCH, 1), Ok(1));
    let until = at(200);
    assert_eq!(draw(&mut pool, SEARCH, 1), Err(Refusal::Spent { limit: Limit::Rate, until }));
    assert_eq!(draw(&mut pool, CRAWL, 1), Ok(1));
    assert_eq!(draw(&mut pool, CRAWL, 1), Err(Refusal::NoUsableKey));
    assert_eq!(pool.remove_tier(TIER), Ok(()));
}

#[test]
fn a_key_may_come_before_its_tier() {
    let mut pool = pool_of(0, rate(1, 100));
    pool.put_key(KEY, KeyTerms { tier: OTHER_TIER, ..free() });
    assert_eq!(draw(&mut pool, CRAWL, 0), Err(Refusal::NotCovered));
    pool.put_tier(OTHER_TIER, &[(CRAWL, rate(1, 100))]);
    assert_eq!(draw(&mut pool, CRAWL, 0), Ok(1));
}

#[test]
fn a_features_count_survives_its_removal_and_return() {
    let mut pool = pool_of(1, rate(1, 100));
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
    pool.put_tier(TIER, &[(CRAWL, rate(1, 100))]);
    assert_eq!(draw(&mut pool, SEARCH, 0), Err(Refusal::NotCovered));
    assert_eq!(pool.rate_usage(KEY, SEARCH, at(0)), 0);
    pool.put_tier(TIER, &[(SEARCH, rate(1, 100))]);
    assert_eq!(pool.rate_usage(KEY, SEARCH, at(0)), 1);
    let until = at(100);
    assert_eq!(draw(&mut pool, SEARCH, 0), Err(Refusal::Spent { limit: Limit::Rate, until }));
}

#[test]
fn a_grant_may_end_after_its_feature_was_removed() {
    let mut pool = pool_of(1, rate(2, 100));
    let (kept, taken_back) = (reserve(&mut pool, SEARCH, 0), reserve(&mut pool, SEARCH, 0));
    pool.put_tier(TIER, &[]);
    pool.commit(kept);
    pool.release(taken_back);
    pool.put_tier(TIER, &[(SEARCH, rate(2, 100))]);
    assert_eq!(pool.rate_usage(KEY, SEARCH, at(0)), 1);
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
}

#[test]
fn of_a_feature_named_twice_the_last_limit_holds() {
    let mut pool = pool(&[(SEARCH, rate(9, 100)), (SEARCH, rate(1, 100))], &[free()]);
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
    assert!(draw(&mut pool, SEARCH, 0).is_err());
}

#[test]
fn a_tier_that_holds_keys_is_not_removed() {
    let mut pool = pool_of(2, rate(PLENTY, 1));
    let in_use = TierInUse { tier: TIER, keys: 2 };
    assert_eq!(pool.remove_tier(TIER), Err(in_use));
    assert_eq!(in_use.to_string(), "tier 1 still holds 2 key(s)");
    assert_eq!(draws(&mut pool, SEARCH, 0, 2), [1, 2]);
    pool.remove_key(KeyNo::new(1));
    pool.remove_key(KeyNo::new(2));
    assert_eq!(pool.remove_tier(TIER), Ok(()));
    assert_eq!(pool.remove_tier(TierNo::new(99)), Ok(()));
    assert_eq!(draw(&mut pool, SEARCH, 0), Err(Refusal::NotCovered));
}
