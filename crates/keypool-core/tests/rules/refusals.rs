//! What a refusal says (promise 7).

use keypool_core::{Access, Condition, KeyNo, KeyTerms, Limit, Pool, Refusal, ReplicaNo, TierNo};

use crate::{
    CRAWL, OTHER_TIER, PLENTY, SEARCH, TIER, at, draw, draws, for_life, free, per, pool, pool_of,
    rate, with_budget,
};

#[test]
fn only_a_tier_that_covers_the_feature_lets_a_caller_draw() {
    let mut pool = pool_of(1, rate(1, 100));
    pool.put_tier(OTHER_TIER, &[]);
    let table: [(Access<'_>, _, bool); 7] = [
        (Access::All, SEARCH, true),
        (Access::All, CRAWL, false),
        (Access::Tiers(&[TIER]), SEARCH, true),
        (Access::Tiers(&[TIER]), CRAWL, false),
        (Access::Tiers(&[OTHER_TIER]), SEARCH, false),
        (Access::Tiers(&[TierNo::new(i64::MIN), TIER]), SEARCH, true),
        (Access::Tiers(&[]), SEARCH, false),
    ];
    for (access, feature, covered) in table {
        assert_eq!(pool.covers(access, feature), covered, "{access:?} {feature:?}");
        let refusal = pool.clone().draw(access, feature, at(1)).err();
        assert_eq!(refusal, (!covered).then_some(Refusal::NotCovered));
    }
}

#[test]
fn a_covered_feature_without_keys_has_no_usable_key() {
    assert_eq!(draw(&mut pool_of(0, rate(1, 100)), SEARCH, 1), Err(Refusal::NoUsableKey));
}

#[test]
fn an_empty_pool_refuses() {
    let mut pool = Pool::new(ReplicaNo::new(0).unwrap());
    assert_eq!(draw(&mut pool, SEARCH, 1), Err(Refusal::NotCovered));
}

#[test]
fn the_limit_that_holds_longest_is_named_and_the_budget_if_both_do() {
    let table = [
        (rate(1, 100), per(50, 1), Limit::Rate, 100),
        (rate(1, 50), per(100, 1), Limit::Budget, 100),
        (rate(1, 100), per(100, 1), Limit::Budget, 100),
        (rate(1, 100), per(900, 2), Limit::Rate, 100),
        (rate(2, 900), per(100, 1), Limit::Budget, 100),
        (rate(1, 100), for_life(2), Limit::Rate, 100),
        (rate(1, 100), None, Limit::Rate, 100),
    ];
    for (limit, budget, binds, until) in table {
        let mut pool = pool(&[(SEARCH, limit)], &[with_budget(budget)]);
        assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
        let expected = Refusal::Spent { limit: binds, until: at(until) };
        assert_eq!(draw(&mut pool, SEARCH, 1), Err(expected), "{limit:?} {budget:?}");
        assert_eq!(draw(&mut pool, SEARCH, until - 1), Err(expected));
        assert_eq!(draw(&mut pool, SEARCH, until), Ok(1));
    }
}

#[test]
fn the_key_that_is_back_first_is_the_one_spoken_of() {
    let keys = [with_budget(per(300, 1)), with_budget(per(200, 1)), with_budget(per(100, 1))];
    let mut pool = pool(&[(SEARCH, rate(1, 150))], &keys);
    draws(&mut pool, SEARCH, 0, 3);
    let until_150 = |limit| Err(Refusal::Spent { limit, until: at(150) });
    assert_eq!(draw(&mut pool, SEARCH, 0), until_150(Limit::Rate), "of the third key");
    pool.put_key(KeyNo::new(2), with_budget(per(150, 1)));
    assert_eq!(draw(&mut pool, SEARCH, 0), until_150(Limit::Budget), "the older key speaks");
}

#[test]
fn a_key_that_expires_before_its_limit_heals_does_not_count() {
    let until = |millis| KeyTerms { expires_at: Some(at(millis)), ..free() };
    for (expires, heals) in [(100, false), (101, true)] {
        let mut pool = pool(&[(SEARCH, rate(1, 100))], &[until(expires)]);
        assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
        let spent = Refusal::Spent { limit: Limit::Rate, until: at(100) };
        let expected = if heals { spent } else { Refusal::NoUsableKey };
        assert_eq!(draw(&mut pool, SEARCH, 99), Err(expected), "expires at {expires}");
        assert_eq!(draw(&mut pool, SEARCH, 100).is_ok(), heals);
    }
}

#[test]
fn a_draw_after_a_busy_millisecond_is_judged_in_the_next_one() {
    let mut pool = pool(&[(SEARCH, rate(1, 10)), (CRAWL, rate(PLENTY, 1))], &[free()]);
    assert_eq!(draw(&mut pool, SEARCH, 0), Ok(1));
    draws(&mut pool, CRAWL, 9, 2_048);
    assert_eq!(draw(&mut pool, SEARCH, 9), Ok(1), "the window ended with that millisecond");
}

#[test]
fn ten_thousand_refusals_change_nothing() {
    let mut asked = pool_of(3, rate(1, 100));
    draws(&mut asked, SEARCH, 0, 3);
    let mut unasked = asked.clone();
    for nth in 0..10_000 {
        assert!(draw(&mut asked, SEARCH, nth % 100).is_err());
    }
    assert_eq!(draws(&mut asked, SEARCH, 100, 3), draws(&mut unasked, SEARCH, 100, 3));
    assert_eq!(asked.latest_grant(), unasked.latest_grant());
}

#[test]
fn a_key_stands_as_its_draw_would_say() {
    let spent_for_life = with_budget(for_life(1));
    let spent_for_now = with_budget(per(5_000, 1));
    let inactive = KeyTerms { active: false, ..free() };
    let expires = KeyTerms { expires_at: Some(at(1_005)), ..free() };
    let features = [(SEARCH, rate(1, 1_000)), (CRAWL, rate(9, 1_000))];
    let mut pool = pool(&features, &[free(), spent_for_life, spent_for_now, inactive, expires]);
    draws(&mut pool, SEARCH, 10, 4);
    use Condition::{BudgetSpent, RateLimited, Unusable, Usable};
    let table = [
        // for SEARCH and CRAWL at 10 ms, then for SEARCH alone once its rate window ended
        (1, [RateLimited, Usable], Usable),
        (2, [Unusable, Unusable], Unusable),
        (3, [BudgetSpent, BudgetSpent], BudgetSpent),
        (4, [Unusable, Unusable], Unusable),
        (5, [Unusable, Usable], Unusable),
    ];
    for (no, now, later) in table {
        let of_key = |moment| pool.conditions(KeyNo::new(no), at(moment)).collect::<Vec<_>>();
        assert_eq!(of_key(10), [(SEARCH, now[0]), (CRAWL, now[1])], "key {no}");
        assert_eq!(of_key(1_010)[0], (SEARCH, later), "key {no}");
    }
    assert_eq!(pool.conditions(KeyNo::new(9), at(10)).count(), 0);
}
