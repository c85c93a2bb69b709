//! The chain of a key's usage events: the pages of one key are walked along it, in whatever order the events came.

use keypool_core::{GrantId, KeyNo};
use keypool_store::{ChangeKind, Store, UsageQuery};

use crate::support::{Draw, Fresh, batch, change, draw, grant, seeded, tier};

/// The ids of a page of one key's events.
pub(crate) async fn page(
    store: &Store,
    key: i64,
    before: Option<GrantId>,
    limit: u32,
) -> Vec<GrantId> {
    let key = Some(format!("key-{key}"));
    let query = UsageQuery { limit, key, before, ..UsageQuery::default() };
    store.list_usage(&query).await.unwrap().iter().map(|row| row.id).collect()
}

/// Draws of the unlimited key 1 and of key 3, spread over some seconds: every third is of key 3.
fn draws(count: i64) -> Vec<Draw> {
    (0..count)
        .map(|n| Draw { feature: 2, ..draw(if n % 3 == 2 { 3 } else { 1 }, grant(n * 40, 0)) })
        .collect()
}

/// A store whose key 3 is unlimited as well.
async fn roomy() -> Fresh {
    let fresh = seeded().await;
    crate::support::run(
        &fresh.path(),
        "UPDATE keys SET usage_limit = NULL, usage_window_secs = NULL",
    )
    .await;
    fresh
}

/// Every key's pages, from everywhere, are what its events say.
async fn assert_pages_tell_all(fresh: &Fresh, draws: &[Draw]) {
    for key in [1, 2, 3] {
        let mut ids: Vec<_> = draws.iter().filter(|d| d.key == key).map(|d| d.id).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(page(&fresh.store, key, None, 1_000).await, ids);
        for before in draws.iter().map(|draw| draw.id) {
            let older: Vec<_> = ids.iter().copied().filter(|id| *id < before).take(2).collect();
            assert_eq!(page(&fresh.store, key, Some(before), 2).await, older, "{before:?}");
        }
    }
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn events_in_order_form_one_chain_a_key() {
    let fresh = roomy().await;
    let draws = draws(30);
    for some in draws.chunks(7) {
        fresh.store.commit_draws(&batch(5, some)).await.unwrap();
    }
    assert_pages_tell_all(&fresh, &draws).await;
}

#[tokio::test]
async fn events_that_come_out_of_order_take_their_place_in_the_chain() {
    let fresh = roomy().await;
    let draws = draws(40);
    // As two replicas would record them: interleaved, and each batch out of order with those before it.
    for start in [3, 0, 7, 1, 2, 6, 4, 5] {
        let some: Vec<_> = draws.iter().copied().skip(start).step_by(8).collect();
        fresh.store.commit_draws(&batch(5, &some)).await.unwrap();
    }
    assert_pages_tell_all(&fresh, &draws).await;
}

#[tokio::test]
async fn a_budget_window_counts_what_comes_out_of_order() {
    let fresh = seeded().await;
    let at = |after| Draw { budget_since: Some(0), ..draw(3, grant(after, 0)) };
    for after in [20, 10, 30, 15] {
        fresh.store.commit_draws(&batch(5, &[at(after)])).await.unwrap();
        assert_eq!(fresh.store.check_counters().await.unwrap(), [], "after {after}");
    }
    let fifth = fresh.store.commit_draws(&batch(5, &[at(12)])).await;
    assert!(matches!(fifth, Err(keypool_store::WriteError::Spent)), "{fifth:?}");
}

/// Promise 3, where a replica whose clock is behind draws in a window that another has opened.
#[tokio::test]
async fn a_rate_window_counts_what_is_older_than_it_and_nothing_of_the_one_before() {
    let fresh = roomy().await;
    let at = |after, since| Draw { rate_since: since, ..draw(1, grant(after, 0)) };
    let draws = [at(0, 0), at(59_990, 0), at(60_000, 60_000), at(59_980, 60_000)];
    let draws =
        [draws, [at(59_995, 60_000), at(60_001, 60_000), at(59_970, 60_000), at(60_002, 60_000)]];
    for draw in draws.concat() {
        fresh.store.commit_draws(&batch(5, &[draw])).await.unwrap();
        assert_eq!(fresh.store.check_counters().await.unwrap(), [], "after {:?}", draw.id);
    }
    let used = crate::support::rows(&fresh.path(), "SELECT '' || used FROM rate_counters").await;
    assert_eq!(used, ["6"]);
    assert_pages_tell_all(&fresh, &draws.concat()).await;
}

#[tokio::test]
async fn a_page_starts_far_from_the_events_of_its_key() {
    let fresh = roomy().await;
    let mut all = vec![draw(3, grant(0, 0)), draw(3, grant(1, 0))];
    // More events of another key than are looked through for a place to start.
    all.extend((2..12_002).map(|n| draw(1, grant(n / 40, 100 + u16::try_from(n % 40).unwrap()))));
    all.push(draw(3, grant(40_000, 0)));
    all.sort_unstable_by_key(|draw| draw.id);
    let free = |draw: &Draw| Draw { feature: 2, ..*draw };
    let wide = tier(9, "wide", &[(2, 1_000_000, 60)], &[]);
    change(&fresh.store, 5, ChangeKind::AddTier(wide)).await;
    crate::support::run(&fresh.path(), "UPDATE keys SET tier_no = 9").await;
    for some in all.chunks(1_000) {
        let some: Vec<_> = some.iter().map(free).collect();
        fresh.store.commit_draws(&batch(6, &some)).await.unwrap();
    }
    let far = Some(grant(30_000, 0));
    assert_eq!(page(&fresh.store, 3, far, 5).await, [grant(1, 0), grant(0, 0)]);
    assert_eq!(page(&fresh.store, 3, None, 1).await, [grant(40_000, 0)]);
    assert_eq!(page(&fresh.store, 3, Some(grant(0, 0)), 5).await, []);
    assert_eq!(page(&fresh.store, 2, far, 5).await, []);
}

#[tokio::test]
async fn a_deleted_keys_events_are_still_found() {
    let fresh = roomy().await;
    let draws = draws(9);
    fresh.store.commit_draws(&batch(5, &draws)).await.unwrap();
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(1))).await;
    assert_pages_tell_all(&fresh, &draws).await;
}
