//! A key that is changed on one of three replicas is as changed on all of them, from the answer on (promises 1, 3 and 5).

use std::sync::Arc;
use std::time::Duration;

use keypool_engine::{Engine, KeyPatch, Limit, ManualClock, NewKey, Plain, Refusal, Timestamp};
use tokio::task::JoinSet;

use crate::support::*;

async fn three(hub: &Hub) -> [Engine; 3] {
    [hub.replica().await, hub.replica().await, hub.replica().await]
}

/// Changes the oldest key.
async fn patch(engine: &Engine, patch: KeyPatch) {
    engine.confirm_current().await.unwrap();
    let id = engine.keys().await.remove(0).id;
    engine.update_key(&origin(), &id, patch).await.unwrap();
}

/// What a member that can be cleared is set to.
fn set<T>(value: T) -> Option<Option<T>> {
    Some(Some(value))
}

fn plain(value: &str) -> Plain {
    Plain::from(value.to_owned())
}

#[tokio::test]
async fn what_one_replica_changes_no_other_serves_or_refuses_as_before() {
    let hub = Hub::start().await;
    let [one, two, three] = three(&hub).await;
    fill(&one, 1, None, 1_000_000).await;
    for engine in [&one, &two, &three] {
        assert_eq!(value(engine).await, "value-of-k1");
    }
    patch(&one, KeyPatch { value: Some(plain("rotated")), ..KeyPatch::default() }).await;
    for engine in [&two, &three, &one] {
        assert_eq!(value(engine).await, "rotated");
    }
    patch(&two, KeyPatch { is_active: Some(false), ..KeyPatch::default() }).await;
    for engine in [&three, &one, &two] {
        assert_eq!(refusal(draw(engine).await), Refusal::NoUsableKey);
    }
    let secrets = vec![("s".to_owned(), Some(plain("hush")))];
    patch(&three, KeyPatch { is_active: Some(true), secrets, ..KeyPatch::default() }).await;
    for engine in [&one, &two, &three] {
        assert_eq!(draw(engine).await.unwrap().secrets[0].value.expose(), "hush");
    }
    let expires_at = set(Timestamp::from_millis(START));
    patch(&one, KeyPatch { expires_at, ..KeyPatch::default() }).await;
    for engine in [&two, &three] {
        assert_eq!(refusal(draw(engine).await), Refusal::NoUsableKey);
    }
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_key_moves_to_another_tier_for_all_and_keeps_its_count() {
    let hub = Hub::start().await;
    let [one, two, three] = three(&hub).await;
    fill(&one, 1, Some(3), 1_000_000).await;
    add_tier(&two, "u", "g", 1_000_000, 60).await;
    value(&one).await;
    value(&two).await;
    patch(&three, KeyPatch { tier: Some("u".to_owned()), ..KeyPatch::default() }).await;
    assert_eq!(refusal(draw(&one).await), Refusal::NoUsableKey);
    two.draw(keypool_engine::Caller::Admin, "g").await.unwrap();
    let spent = one.draw(keypool_engine::Caller::Admin, "g").await;
    assert_eq!(refusal(spent), Refusal::NoUsableKey);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_count_that_one_replica_sets_is_what_all_go_by() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let mut engines = Vec::new();
    for _ in 0..3 {
        engines.push(hub.replica_at(&clock).await);
    }
    let [one, two, three] = [&engines[0], &engines[1], &engines[2]];
    add_tier(one, "t", "f", 1_000_000, 60).await;
    let new = NewKey { usage_window_seconds: Some(100), ..key("k1", Some(5)) };
    one.add_key(&origin(), new).await.unwrap();
    let to = |secs: u64, now_secs: i64| {
        clock.advance(Duration::from_secs(secs));
        hub.faults().set_clock(Some(START + now_secs * 1_000));
    };
    // Another replica opens the window behind the first one's back.
    value(two).await;
    to(40, 40);
    patch(one, KeyPatch { usage_count: Some(4), ..KeyPatch::default() }).await;
    value(three).await;
    let spent =
        |secs| Refusal::Spent { limit: Limit::Budget, retry_after: Duration::from_secs(secs) };
    for engine in [one, two, three] {
        assert_eq!(refusal(draw(engine).await), spent(60), "the window under way stays");
    }
    hub.assert_counters_equal_events().await;
    patch(two, KeyPatch { usage_count: Some(0), ..KeyPatch::default() }).await;
    for engine in [one, two, three, one, two] {
        value(engine).await;
    }
    assert_eq!(refusal(draw(three).await), spent(60));
    to(60, 100);
    // No window is open: one opens for what is set.
    patch(three, KeyPatch { usage_count: Some(5), ..KeyPatch::default() }).await;
    for engine in [one, two, three] {
        assert_eq!(refusal(draw(engine).await), spent(100));
    }
    patch(one, KeyPatch { usage_window_seconds: Some(None), ..KeyPatch::default() }).await;
    assert_eq!(refusal(draw(two).await), Refusal::NoUsableKey);
    hub.assert_counters_equal_events().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_changed_under_load_on_all_replicas_are_spent_to_the_unit() {
    let hub = Hub::start().await;
    let engines = three(&hub).await;
    fill(&engines[0], 1, Some(400), 1_000_000).await;
    let mut all = JoinSet::new();
    for engine in &engines {
        for _ in 0..4 {
            let engine = engine.clone();
            all.spawn(async move {
                let mut grants = 0;
                loop {
                    match draw(&engine).await {
                        Ok(_) => grants += 1,
                        refused => {
                            refusal(refused);
                            return grants;
                        }
                    }
                }
            });
        }
    }
    for (nth, limit) in [300, 350, 320, 380].into_iter().enumerate() {
        let usage_limit = set(limit);
        patch(&engines[nth % 3], KeyPatch { usage_limit, ..KeyPatch::default() }).await;
    }
    let grants: i64 = all.join_all().await.into_iter().sum();
    assert_eq!(hub.events().await, grants);
    assert!(grants <= 400, "{grants}");
    let left = 380 - grants;
    for _ in 0..left.max(0) {
        value(&engines[1]).await;
    }
    assert_eq!(refusal(draw(&engines[2]).await), Refusal::NoUsableKey);
    assert_eq!(hub.number("SELECT used FROM budget_counters").await, grants.max(380));
    hub.assert_counters_equal_events().await;

    // A count is struck while all draw: from then on exactly the rest is granted.
    patch(&engines[0], KeyPatch { usage_count: Some(0), ..KeyPatch::default() }).await;
    let mut all = JoinSet::new();
    for engine in &engines {
        for _ in 0..4 {
            let engine = engine.clone();
            all.spawn(async move { while draw(&engine).await.is_ok() {} });
        }
    }
    patch(&engines[1], KeyPatch { usage_count: Some(100), ..KeyPatch::default() }).await;
    all.join_all().await;
    assert_eq!(hub.number("SELECT used FROM budget_counters").await, 380);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_value_that_another_replica_has_taken_in_is_known_as_a_duplicate() {
    let hub = Hub::start().await;
    let [one, two, three] = three(&hub).await;
    fill(&one, 1, None, 10).await;
    patch(&two, KeyPatch { value: Some(plain("rotated")), ..KeyPatch::default() }).await;
    one.confirm_current().await.unwrap();
    let original = Arc::clone(&one.keys().await[0].id);
    let new = NewKey { value: plain("rotated"), ..key("k2", None) };
    let added = three.add_key(&origin(), new).await.unwrap();
    assert_eq!(added.duplicate_of, Some(original));
    let new = NewKey { value: plain("value-of-k1"), ..key("k3", None) };
    assert_eq!(one.add_key(&origin(), new).await.unwrap().duplicate_of, None);
}
