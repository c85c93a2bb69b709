//! A batch of draws is taken whole or refused whole, by the database's own limits.

use keypool_core::KeyNo;
use keypool_core::Timestamp;
use keypool_store::{ChangeKind, NewKey, Store, TierUpdate, WriteError};

use crate::support::{
    Draw, Fresh, NOON, batch, change, covers, draw, dump, empty, grant, is_recorded, key, seeded,
    tier, update,
};

async fn assert_spent(fresh: &Fresh, draws: &[Draw]) {
    let before = dump(&fresh.path()).await;
    let revision = fresh.store.revision().await.unwrap();
    let refused = fresh.store.commit_draws(&batch(revision, draws)).await;
    assert!(matches!(refused, Err(WriteError::Spent)), "{refused:?}");
    assert_eq!(dump(&fresh.path()).await, before, "a refused batch leaves nothing behind");
}

async fn assert_granted(fresh: &Fresh, draws: &[Draw]) {
    let revision = fresh.store.revision().await.unwrap();
    fresh.store.commit_draws(&batch(revision, draws)).await.unwrap();
    assert_counts(&fresh.store).await;
}

async fn assert_counts(store: &Store) {
    assert_eq!(store.check_counters().await.unwrap(), [], "counters equal events (promise 3)");
}

/// The budget counter of a key: what is used, and the window's start after noon.
async fn budget(store: &Store, no: i64) -> (i64, Option<i64>) {
    let snapshot = store.load().await.unwrap();
    let row = snapshot.keys.iter().find(|row| row.no == KeyNo::new(no)).unwrap();
    (row.usage_count, row.usage_window_start.map(|start| start.as_millis() - NOON))
}

#[tokio::test]
async fn a_batch_is_put_on_record_whole() {
    let fresh = seeded().await;
    let by_bot = Draw { consumer: 1, feature: 1, ..draw(1, grant(3, 0)) };
    let draws = [draw(1, grant(1, 0)), draw(1, grant(1, 1)), draw(2, grant(2, 0)), by_bot];
    assert_granted(&fresh, &draws).await;
    assert_eq!(budget(&fresh.store, 1).await, (3, None), "an unlimited key counts too");
    assert_eq!(budget(&fresh.store, 2).await, (1, None));
    assert!(is_recorded(&fresh.store, grant(1, 0)).await);
    assert!(!is_recorded(&fresh.store, grant(1, 2)).await);
    let snapshot = fresh.store.load().await.unwrap();
    assert_eq!(snapshot.latest_grant, Some(grant(3, 0)));
    let counters: Vec<_> =
        snapshot.keys[0].counters.iter().map(|c| (c.feature.get(), c.used, c.last_grant)).collect();
    assert_eq!(counters, [(1, 1, Some(grant(3, 0))), (2, 2, Some(grant(1, 1)))]);
}

#[tokio::test]
async fn a_batch_that_rests_on_what_was_changed_since_is_stale_and_others_are_not() {
    let fresh = seeded().await;
    let at = |revision, draw| batch(revision, &[draw]);
    let by_bot = |after| Draw { consumer: 1, ..draw(1, grant(after, 0)) };
    // Revision 4 knew the keys and not the consumer; 6 is none yet.
    let table =
        [(4, draw(1, grant(1, 0)), true), (4, by_bot(2), false), (6, draw(1, grant(3, 0)), false)];
    for (revision, draw, is_taken) in table {
        let outcome = fresh.store.commit_draws(&at(revision, draw)).await;
        assert_eq!(outcome.is_ok(), is_taken, "{revision}: {outcome:?}");
        assert!(is_taken || matches!(outcome, Err(WriteError::Stale)), "{outcome:?}");
        assert_eq!(is_recorded(&fresh.store, draw.id).await, is_taken);
    }
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(2))).await;
    fresh.store.commit_draws(&at(5, draw(1, grant(4, 0)))).await.unwrap();
    let deleted = fresh.store.commit_draws(&at(5, draw(2, grant(5, 0)))).await;
    assert!(matches!(deleted, Err(WriteError::Stale)), "{deleted:?}");
    let described = TierUpdate { description: Some("another".to_owned()), ..update(1) };
    change(&fresh.store, 6, ChangeKind::UpdateTier(described)).await;
    let of_tier = fresh.store.commit_draws(&at(6, draw(1, grant(6, 0)))).await;
    assert!(matches!(of_tier, Err(WriteError::Stale)), "{of_tier:?}");
    fresh.store.commit_draws(&at(7, draw(1, grant(6, 0)))).await.unwrap();
    let scope = ChangeKind::RemoveScope {
        consumer: keypool_core::ConsumerNo::new(1),
        tier: keypool_core::TierNo::new(1),
    };
    change(&fresh.store, 7, scope).await;
    let of_bot = fresh.store.commit_draws(&at(7, by_bot(8))).await;
    assert!(matches!(of_bot, Err(WriteError::Stale)), "{of_bot:?}");
    assert_counts(&fresh.store).await;
}

#[tokio::test]
async fn a_revision_that_nobody_accounts_for_makes_every_batch_stale() {
    let fresh = seeded().await;
    crate::support::run(&fresh.path(), "UPDATE pool SET revision = revision + 1").await;
    let outcome = fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(outcome, Err(WriteError::Stale)), "{outcome:?}");
}

#[tokio::test]
async fn a_rate_limit_holds_within_its_window_and_opens_after_it() {
    let fresh = seeded().await;
    let search =
        |after: i64, since: i64| Draw { feature: 1, rate_since: since, ..draw(1, grant(after, 0)) };
    assert_granted(&fresh, &[search(1, 0), search(2, 0)]).await;
    assert_spent(&fresh, &[search(3, 0), search(4, 0)]).await;
    assert_granted(&fresh, &[search(3, 0)]).await;
    assert_spent(&fresh, &[search(4, 0)]).await;
    // Another window within the first one would let twice as many through.
    assert_spent(&fresh, &[search(59_999, 59_999)]).await;
    assert_granted(
        &fresh,
        &[search(60_000, 60_000), search(60_001, 60_000), search(60_002, 60_000)],
    )
    .await;
    assert_spent(&fresh, &[search(60_003, 60_000)]).await;
    // A window before the one under way is over.
    assert_spent(&fresh, &[search(60_004, 0)]).await;
}

#[tokio::test]
async fn more_than_a_whole_window_holds_is_refused_in_a_new_window_too() {
    let fresh = seeded().await;
    let search = |sequence| Draw { feature: 1, ..draw(1, grant(1, sequence)) };
    assert_spent(&fresh, &[search(0), search(1), search(2), search(3)]).await;
}

#[tokio::test]
async fn a_budget_for_life_is_never_passed() {
    let fresh = seeded().await;
    assert_granted(&fresh, &[draw(2, grant(1, 0)), draw(2, grant(1, 1)), draw(2, grant(1, 2))])
        .await;
    assert_spent(&fresh, &[draw(2, grant(2, 0)), draw(2, grant(2, 1))]).await;
    assert_granted(&fresh, &[draw(2, grant(2, 0))]).await;
    assert_spent(&fresh, &[draw(2, grant(3, 0))]).await;
    let later = Draw { rate_since: 1_000_000, ..draw(2, grant(1_000_000, 0)) };
    assert_spent(&fresh, &[later]).await;
    assert_eq!(budget(&fresh.store, 2).await, (4, None));
}

#[tokio::test]
async fn a_budget_with_a_window_starts_again_after_it() {
    let fresh = seeded().await;
    let at = |after: i64, since: i64| Draw {
        rate_since: after / 60_000 * 60_000,
        budget_since: Some(since),
        ..draw(3, grant(after, 0))
    };
    assert_spent(&fresh, &[Draw { budget_since: None, ..at(10, 10) }]).await;
    assert_spent(&fresh, &[10, 11, 12, 13, 14].map(|after| at(after, 10))).await;
    assert_granted(&fresh, &[at(10, 10), at(11, 10), at(12, 10)]).await;
    assert_spent(&fresh, &[at(13, 10), at(14, 10)]).await;
    assert_granted(&fresh, &[at(13, 10)]).await;
    assert_eq!(budget(&fresh.store, 3).await, (4, Some(10)));
    assert_spent(&fresh, &[at(100_009, 100_009)]).await;
    assert_granted(&fresh, &[at(100_010, 100_010), at(100_011, 100_010)]).await;
    assert_eq!(budget(&fresh.store, 3).await, (2, Some(100_010)));
    assert_granted(&fresh, &[at(100_012, 100_010)]).await;
    assert_eq!(budget(&fresh.store, 3).await, (3, Some(100_010)));
    assert_spent(&fresh, &[Draw { budget_since: None, ..at(300_000, 300_000) }]).await;
}

#[tokio::test]
async fn a_key_is_granted_until_the_millisecond_before_its_expiry() {
    let fresh = seeded().await;
    let expires_at = Some(Timestamp::from_millis(NOON + 1_000));
    change(&fresh.store, 5, ChangeKind::AddKeys(vec![NewKey { expires_at, ..key(4) }])).await;
    assert_granted(&fresh, &[draw(4, grant(999, 0))]).await;
    assert_spent(&fresh, &[draw(4, grant(1_000, 0))]).await;
}

#[tokio::test]
async fn a_deleted_inactive_or_unknown_key_is_not_granted() {
    let fresh = seeded().await;
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(1))).await;
    assert_spent(&fresh, &[draw(1, grant(1, 0))]).await;
    assert_spent(&fresh, &[draw(99, grant(1, 0))]).await;
    crate::support::run(&fresh.path(), "UPDATE keys SET is_active = 0 WHERE key_no = 2").await;
    assert_spent(&fresh, &[draw(2, grant(1, 0))]).await;
}

#[tokio::test]
async fn a_feature_that_the_tier_covers_no_more_is_not_granted_and_its_window_survives() {
    let fresh = seeded().await;
    let search = |after: i64| Draw { feature: 1, ..draw(1, grant(after, 0)) };
    assert_granted(&fresh, &[search(1), search(2)]).await;
    let set =
        |features| ChangeKind::UpdateTier(TierUpdate { features: Some(features), ..update(1) });
    change(&fresh.store, 5, set(covers(&[(2, 1_000, 60)]))).await;
    assert_spent(&fresh, &[search(3)]).await;
    change(&fresh.store, 6, set(covers(&[(1, 3, 60)]))).await;
    assert_spent(&fresh, &[search(3), search(4)]).await;
    assert_granted(&fresh, &[search(3)]).await;
    change(&fresh.store, 7, set(covers(&[(1, 0, 60)]))).await;
    assert_spent(&fresh, &[Draw { rate_since: 70_000, ..search(70_000) }]).await;
}

#[tokio::test]
async fn one_draw_that_does_not_fit_refuses_the_whole_batch() {
    let fresh = seeded().await;
    let too_many = [0, 1, 2, 3, 4].map(|sequence| draw(2, grant(1, sequence)));
    assert_spent(&fresh, &[&[draw(1, grant(0, 0))], &too_many[..]].concat()).await;
    assert!(!is_recorded(&fresh.store, grant(0, 0)).await);
}

#[tokio::test]
async fn a_batch_that_is_on_record_is_found_there_and_not_taken_again() {
    let fresh = seeded().await;
    assert_granted(&fresh, &[draw(1, grant(1, 0))]).await;
    let before = dump(&fresh.path()).await;
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
    let unfenced = |rows: Vec<String>| {
        rows.into_iter().filter(|row| !row.starts_with("replicas: ")).collect::<Vec<_>>()
    };
    assert_eq!(unfenced(dump(&fresh.path()).await), unfenced(before));
    assert_granted(&fresh, &[draw(1, grant(2, 0))]).await;
}

#[tokio::test]
async fn a_batch_of_nothing_only_probes() {
    let fresh = seeded().await;
    let before = dump(&fresh.path()).await;
    fresh.store.commit_draws(&batch(5, &[])).await.unwrap();
    assert_eq!(dump(&fresh.path()).await, before);
}

#[tokio::test]
async fn the_largest_limits_do_not_overflow() {
    let fresh = empty().await;
    let wide = tier(1, "wide", &[(1, 1_000_000_000, 31_622_400)], &[(1, "search")]);
    change(&fresh.store, 1, ChangeKind::AddTier(wide)).await;
    let rich = NewKey {
        usage_limit: Some(1_000_000_000_000_000),
        usage_window_secs: Some(316_224_000),
        ..key(1)
    };
    change(&fresh.store, 2, ChangeKind::AddKeys(vec![rich])).await;
    let first = Draw { feature: 1, budget_since: Some(0), ..draw(1, grant(0, 0)) };
    assert_granted(&fresh, &[first]).await;
    // Within both windows: another window may not be opened yet.
    assert_spent(&fresh, &[Draw { budget_since: Some(9), rate_since: 9, ..draw(1, grant(9, 0)) }])
        .await;
    assert_granted(&fresh, &[Draw { id: grant(9, 0), ..first }]).await;
}

#[tokio::test]
async fn the_turn_goes_on_from_the_latest_grant_of_every_batch() {
    let fresh = seeded().await;
    for after in [1, 2, 70_000] {
        let since = after / 60_000 * 60_000;
        assert_granted(&fresh, &[Draw { rate_since: since, ..draw(1, grant(after, 0)) }]).await;
        let counter = fresh.store.load().await.unwrap().keys[0].counters[0];
        assert_eq!(counter.last_grant, Some(grant(after, 0)));
    }
}
