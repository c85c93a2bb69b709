//! Whose turn it is (promise 4).

use keypool_core::{Access, FeatureNo, GrantId, KeyNo, KeyTerms, ReplicaNo, Tally, Timestamp};

use crate::{
    CRAWL, OTHER_TIER, PLENTY, SEARCH, TIER, at, draw, draws, for_life, free, pool, pool_of, rate,
    reserve, with_budget,
};

#[test]
fn n_draws_visit_n_keys_and_start_over() {
    let mut pool = pool_of(5, rate(PLENTY, 60_000));
    assert_eq!(draws(&mut pool, SEARCH, 1, 10), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
}

#[test]
fn two_features_drawn_alternately_each_visit_all_keys() {
    let limit = rate(PLENTY, 60_000);
    let mut pool = pool(&[(SEARCH, limit), (CRAWL, limit)], &[free(); 4]);
    let mut visited = [Vec::new(), Vec::new()];
    for _ in 0..4 {
        visited[0].push(draw(&mut pool, SEARCH, 1).unwrap());
        visited[1].push(draw(&mut pool, CRAWL, 1).unwrap());
    }
    assert_eq!(visited, [[1, 2, 3, 4], [1, 2, 3, 4]]);
}

#[test]
fn turns_go_over_all_tiers_that_the_caller_may_use() {
    let mut pool = pool(&[(SEARCH, rate(PLENTY, 60_000))], &[free(); 2]);
    pool.put_tier(OTHER_TIER, &[(SEARCH, rate(PLENTY, 1_000))]);
    for no in [3, 4] {
        pool.put_key(KeyNo::new(no), KeyTerms { tier: OTHER_TIER, ..free() });
    }
    let mut from = |access| {
        let grant = pool.draw(access, SEARCH, at(1)).unwrap();
        let key = grant.key().get();
        pool.commit(grant);
        key
    };
    assert_eq!(from(Access::Tiers(&[OTHER_TIER])), 3);
    assert_eq!(from(Access::All), 1);
    assert_eq!(from(Access::Tiers(&[OTHER_TIER, TIER, OTHER_TIER])), 2);
    assert_eq!(from(Access::Tiers(&[TIER])), 1);
    assert_eq!([from(Access::All), from(Access::All), from(Access::All)], [4, 3, 2]);
}

#[test]
fn a_key_never_served_goes_before_all_others_the_oldest_first() {
    let mut pool = pool_of(2, rate(PLENTY, 60_000));
    assert_eq!(draws(&mut pool, SEARCH, 1, 3), [1, 2, 1]);
    for no in [9, 8] {
        pool.put_key(KeyNo::new(no), free());
    }
    assert_eq!(draws(&mut pool, SEARCH, 1, 4), [8, 9, 2, 1]);
}

#[test]
fn skipped_keys_keep_their_place() {
    let mut pool = pool_of(3, rate(2, 100));
    assert_eq!(draws(&mut pool, SEARCH, 0, 4), [1, 2, 3, 1]);
    assert_eq!(draws(&mut pool, SEARCH, 1, 2), [2, 3]);
    // all are at their limit until 100; key 1 was served longest ago
    assert_eq!(draws(&mut pool, SEARCH, 100, 4), [1, 2, 3, 1]);
}

#[test]
fn a_release_restores_the_place() {
    let mut pool = pool_of(3, rate(PLENTY, 60_000));
    assert_eq!(draws(&mut pool, SEARCH, 1, 3), [1, 2, 3]);
    let (first, second) = (reserve(&mut pool, SEARCH, 2), reserve(&mut pool, SEARCH, 2));
    pool.release(first);
    pool.release(second);
    assert_eq!(draws(&mut pool, SEARCH, 2, 3), [1, 2, 3]);
}

#[test]
fn a_release_goes_back_to_the_newest_grant_that_still_stands() {
    for committed in [true, false] {
        let mut pool = pool_of(2, rate(PLENTY, 60_000));
        let grants: Vec<_> = (0..4).map(|_| reserve(&mut pool, SEARCH, 1)).collect();
        let mut last_of_key_2 = None;
        for (nth, grant) in grants.into_iter().enumerate() {
            match nth {
                3 => last_of_key_2 = Some(grant),
                _ if committed => pool.commit(grant),
                _ => drop(grant), // it stays outstanding
            }
        }
        // served in the order 1 2 1 2; without the last, key 2 was served before key 1
        pool.release(last_of_key_2.unwrap());
        assert_eq!(draws(&mut pool, SEARCH, 1, 2), [2, 1], "committed: {committed}");
    }
}

#[test]
fn turns_go_on_from_the_last_grants_on_record() {
    let mut pool = pool_of(3, rate(PLENTY, 60_000));
    let replica = ReplicaNo::new(7).unwrap();
    for (no, millis) in [(1, 30), (2, 10), (3, 20)] {
        let last_grant = GrantId::compose(at(millis), replica, 0);
        let tally =
            keypool_core::FeatureTally { feature: SEARCH, rate: Tally::default(), last_grant };
        pool.adopt(KeyNo::new(no), Tally::default(), &[tally]);
    }
    assert_eq!(pool.latest_grant(), GrantId::compose(at(30), replica, 0));
    let grant = reserve(&mut pool, SEARCH, 5);
    assert_eq!((grant.key().get(), grant.at()), (2, at(31)), "after all that was granted before");
    assert_eq!(draws(&mut pool, SEARCH, 5, 2), [3, 1]);
}

#[test]
fn a_turn_survives_a_move_and_the_features_removal() {
    let limit = rate(PLENTY, 60_000);
    let mut pool = pool(&[(SEARCH, limit), (CRAWL, limit)], &[free(); 3]);
    assert_eq!(draws(&mut pool, SEARCH, 1, 2), [1, 2]);
    pool.put_tier(TIER, &[(CRAWL, limit)]);
    pool.put_tier(OTHER_TIER, &[(SEARCH, limit)]);
    pool.put_key(KeyNo::new(2), KeyTerms { tier: OTHER_TIER, ..free() });
    pool.put_tier(TIER, &[(SEARCH, limit)]);
    assert_eq!(draws(&mut pool, SEARCH, 1, 3), [3, 1, 2]);
}

#[test]
fn ids_rise_whatever_the_clock_does() {
    let mut pool = pool_of(1, rate(u64::MAX, i64::MAX));
    let mut latest = None;
    for now in [50, 20, i64::MIN, 51].into_iter().chain([40; 3000]) {
        let grant = reserve(&mut pool, SEARCH, now);
        assert!(Some(grant.id()) > latest && grant.at() >= at(now));
        latest = Some(grant.id());
        assert_eq!(pool.latest_grant(), latest);
        pool.release(grant);
    }
    assert_eq!(latest.map(GrantId::at), Some(at(52)), "2,048 ids a millisecond");
}

#[test]
fn a_remembered_grant_is_not_issued_again() {
    let mut pool = pool_of(1, rate(PLENTY, 1));
    let remembered = GrantId::compose(at(99), ReplicaNo::new(0).unwrap(), 4).unwrap();
    pool.remember_grant(remembered);
    pool.remember_grant(GrantId::new(3));
    assert_eq!(pool.latest_grant(), Some(remembered));
    assert_eq!(reserve(&mut pool, SEARCH, 5).id().get(), remembered.get() + 1);
}

#[test]
fn a_clone_decides_like_its_origin() {
    let mut origin = pool(&[(SEARCH, rate(2, 10))], &[with_budget(for_life(3)), free()]);
    draws(&mut origin, SEARCH, 1, 3);
    let mut clone = origin.clone();
    for now in 2..30 {
        let from_origin = draw(&mut origin, FeatureNo::new(1), now);
        assert_eq!(draw(&mut clone, SEARCH, now), from_origin);
    }
    assert_eq!(
        origin.budget_usage(KeyNo::new(1), Timestamp::MAX),
        clone.budget_usage(KeyNo::new(1), Timestamp::MAX)
    );
}

#[test]
fn a_late_commit_of_an_older_grant_does_not_set_the_turn_back() {
    let mut pool = pool_of(2, rate(PLENTY, 60_000));
    let [first, other, last] = [1; 3].map(|now| reserve(&mut pool, SEARCH, now));
    assert_eq!(first.key(), last.key());
    for grant in [last, first, other] {
        pool.commit(grant);
    }
    for grant in [1; 2].map(|now| reserve(&mut pool, SEARCH, now)) {
        pool.release(grant);
    }
    assert_eq!(draws(&mut pool, SEARCH, 1, 2), [2, 1]);
}
