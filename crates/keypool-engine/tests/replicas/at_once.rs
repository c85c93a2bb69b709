//! A change holds everywhere from the moment that it is answered anywhere (promise 5), for grants and refusals alike.

use keypool_engine::{
    AdminError, Caller, ConsumerPatch, Engine, ManualClock, NewConsumer, Refusal, TierPatch,
    Timestamp,
};
use keypool_test_server::{Fault, When};

use crate::support::*;

/// Whom a token belongs to, by the way of a request: what memory does not know is asked.
async fn authenticate(engine: &Engine, token: &str) -> Option<Caller> {
    match engine.authenticate(token) {
        Some(caller) => Some(caller),
        None => {
            engine.confirm_current().await.unwrap();
            engine.authenticate(token)
        }
    }
}

#[tokio::test]
async fn a_key_that_was_deleted_on_one_replica_is_granted_by_none() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 2, None, 1_000_000).await;
    for _ in 0..4 {
        value(&other).await;
    }
    let doomed = one.keys().await[0].id.to_string();
    one.delete_key(&origin(), &doomed).await.unwrap();
    for _ in 0..4 {
        assert_eq!(value(&other).await, "value-of-k2");
    }
    let last = one.keys().await[0].id.to_string();
    one.delete_key(&origin(), &last).await.unwrap();
    assert_eq!(refusal(draw(&other).await), Refusal::NoUsableKey);
}

#[tokio::test]
async fn what_was_added_on_one_replica_is_refused_by_none() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    assert_eq!(refusal(draw(&other).await), Refusal::UnknownFeature);
    add_tier(&one, "t", "f", 10, 60).await;
    assert_eq!(refusal(draw(&other).await), Refusal::NoUsableKey);
    one.add_key(&origin(), key("k1", None)).await.unwrap();
    assert_eq!(value(&other).await, "value-of-k1");

    let (id, token) = add_consumer(&one, "c").await;
    let caller = authenticate(&other, &token).await.unwrap();
    other.draw(caller, "f").await.unwrap();
    other.remove_scope(&origin(), &id, "t").await.unwrap();
    assert_eq!(refusal(one.draw(caller, "f").await), Refusal::OutOfScope);
    one.add_scope(&origin(), &id, "t").await.unwrap();
    other.draw(caller, "f").await.unwrap();
    other.delete_consumer(&origin(), &id).await.unwrap();
    assert_eq!(refusal(one.draw(caller, "f").await), Refusal::UnknownCaller);
    assert_eq!(authenticate(&one, &token).await, None);
}

#[tokio::test]
async fn what_a_guest_changed_holds_on_every_replica() {
    let hub = Hub::start().await;
    assert!(hub.guest().await.is_err(), "an empty database is not for a guest to set up");
    let (one, other) = (hub.replica().await, hub.replica().await);
    let guest = hub.guest().await.unwrap();
    fill(guest.engine(), 1, None, 10).await;
    guest.leave().await.unwrap();
    assert_eq!(value(&one).await, "value-of-k1");
    assert_eq!(value(&other).await, "value-of-k1");
}

#[tokio::test]
async fn a_tier_that_was_renamed_or_deleted_on_one_replica_is_so_on_all() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 1, None, 1_000_000).await;
    let (_, token) = add_consumer(&one, "c").await;
    let caller = authenticate(&other, &token).await.unwrap();
    other.draw(caller, "f").await.unwrap();
    let id = one.tiers()[0].id.to_string();
    let patch = TierPatch { name: Some("u".to_owned()), ..TierPatch::default() };
    one.update_tier_by_id(&origin(), &id, patch).await.unwrap();
    let unknown = other.add_key(&origin(), key("k2", None)).await.unwrap_err();
    assert!(matches!(unknown, AdminError::Unknown { what: "tier", .. }), "{unknown}");
    let in_use = other.delete_tier(&origin(), &id).await.unwrap_err();
    assert!(matches!(in_use, AdminError::TierInUse { keys: 1, .. }), "{in_use}");
    one.delete_key(&origin(), &one.keys().await[0].id).await.unwrap();
    other.delete_tier(&origin(), &id).await.unwrap();
    assert_eq!(refusal(one.draw(caller, "f").await), Refusal::OutOfScope);
    assert!(one.tiers().is_empty() && one.consumers()[0].scopes.is_empty());
}

#[tokio::test]
async fn a_token_that_was_replaced_on_one_replica_is_so_on_all() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let (one, other) = (hub.replica().await, hub.replica_at(&clock).await);
    fill(&one, 1, None, 1_000_000).await;
    let (id, first) = add_consumer(&one, "c").await;
    let was = authenticate(&other, &first).await.unwrap();
    other.draw(was, "f").await.unwrap();
    let issue = async |overlap_seconds| {
        let issued = one.issue_token(&origin(), &id, overlap_seconds).await.unwrap();
        issued.token.expose().to_owned()
    };
    let second = issue(60).await;
    let is = authenticate(&other, &second).await.unwrap();
    for caller in [was, is] {
        other.draw(caller, "f").await.unwrap();
    }
    assert!(other.consumers()[0].old_token_until.is_some());
    clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(authenticate(&other, &first).await, None);

    let third = issue(0).await;
    assert_eq!(refusal(other.draw(is, "f").await), Refusal::UnknownCaller);
    assert_eq!(authenticate(&other, &second).await, None);
    let is = authenticate(&other, &third).await.unwrap();
    other.draw(is, "f").await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_was_deactivated_or_expired_on_one_replica_is_nobody_on_all() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 1, None, 1_000_000).await;
    let (id, token) = add_consumer(&one, "c").await;
    let caller = authenticate(&other, &token).await.unwrap();
    let long_ago = Timestamp::from_millis(0);
    let patches = [
        ConsumerPatch { is_active: Some(false), ..ConsumerPatch::default() },
        ConsumerPatch { expires_at: Some(Some(long_ago)), ..ConsumerPatch::default() },
    ];
    for patch in patches {
        other.draw(caller, "f").await.unwrap();
        one.update_consumer(&origin(), &id, patch).await.unwrap();
        assert_eq!(refusal(other.draw(caller, "f").await), Refusal::UnknownCaller);
        assert_eq!(authenticate(&other, &token).await, None);
        let (is_active, expires_at) = (Some(true), Some(None));
        let well = ConsumerPatch { is_active, expires_at, ..ConsumerPatch::default() };
        other.update_consumer(&origin(), &id, well).await.unwrap();
        assert_eq!(authenticate(&one, &token).await, Some(caller));
    }
}

#[tokio::test]
async fn a_batch_on_its_way_is_decided_anew_once_its_token_is_replaced() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 1, None, 1_000_000).await;
    let (id, token) = add_consumer(&one, "c").await;
    let caller = authenticate(&other, &token).await.unwrap();
    let slow = Fault::DelayBefore(std::time::Duration::from_millis(300));
    let held = hub.faults().inject(slow, When::once().matching("draw_batch"));
    let origin = origin();
    let (drawn, issued) = tokio::join!(other.draw(caller, "f"), async {
        until(async || held.hits() == 1).await;
        one.issue_token(&origin, &id, 0).await
    });
    issued.unwrap();
    assert_eq!(refusal(drawn), Refusal::UnknownCaller);
    assert_eq!(hub.events().await, 0);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_last_use_is_known_to_all_once_it_is_noted() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let (one, other) = (hub.replica_at(&clock).await, hub.replica().await);
    fill(&one, 1, None, 1_000_000).await;
    let (_, token) = add_consumer(&one, "c").await;
    let caller = authenticate(&one, &token).await.unwrap();
    let last = async |engine: &Engine| {
        engine.confirm_uses().await.unwrap();
        engine.consumers()[0].last_used_at
    };
    one.draw(caller, "f").await.unwrap();
    assert!(last(&one).await.is_some());
    until(async || !other.consumers().is_empty()).await;
    assert_eq!(last(&other).await, None);
    // A third one finds it in the events, as one does that is started after a crash.
    let third = hub.replica().await;
    assert_eq!(last(&third).await, last(&one).await);
    one.close().await;
    assert_eq!(last(&other).await, last(&third).await);
}

#[tokio::test]
async fn a_change_is_planned_on_what_all_replicas_did() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 1, None, 10).await;
    other.add_key(&origin(), key("k2", None)).await.unwrap();
    let id = other.keys().await[1].id.to_string();
    one.delete_key(&origin(), &id).await.unwrap();
    let again = other.delete_key(&origin(), &id).await.unwrap_err();
    assert!(matches!(again, AdminError::Unknown { .. }), "{again}");
    add_consumer(&other, "c").await;
    let scopes = vec!["t".to_owned()];
    let twin = NewConsumer { name: "c".to_owned(), scopes, ..NewConsumer::default() };
    let taken = one.add_consumer(&origin(), twin).await.unwrap_err();
    assert!(matches!(taken, AdminError::NameTaken { .. }), "{taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_by_all_replicas_at_once_are_all_made() {
    let hub = Hub::start().await;
    let engines = [hub.replica().await, hub.replica().await, hub.replica().await];
    fill(&engines[0], 1, None, 10).await;
    let mut all = tokio::task::JoinSet::new();
    for (replica, engine) in engines.iter().enumerate() {
        let engine = engine.clone();
        all.spawn(async move {
            for n in 0..15 {
                engine.add_key(&origin(), key(&format!("{replica}-{n}"), None)).await.unwrap();
            }
        });
    }
    all.join_all().await;
    for engine in &engines {
        until(async || engine.keys().await.len() == 46).await;
    }
    assert_eq!(hub.number("SELECT count(DISTINCT key_no) FROM keys").await, 46);
    assert_eq!(hub.number("SELECT revision FROM pool").await, 1 + 2 + 45);
}

#[tokio::test]
async fn an_idle_replica_learns_of_changes_and_draws_by_itself() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 1, Some(100), 1_000_000).await;
    until(async || other.keys().await.len() == 1).await;
    for _ in 0..7 {
        value(&one).await;
    }
    until(async || other.keys().await[0].usage_count == 7).await;
    assert_eq!(other.keys().await[0].usage[0].used, 7);
}

#[tokio::test]
async fn a_listing_asks_the_database_where_what_memory_knows_is_old() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let (one, other) = (hub.replica().await, hub.replica_at(&clock).await);
    other.confirm_recent().await.unwrap();
    fill(&one, 1, None, 10).await;
    clock.advance(std::time::Duration::from_secs(2));
    other.confirm_recent().await.unwrap();
    assert_eq!(other.keys().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_who_changes_one_thing_after_another_keeps_nobody_elsewhere_from_drawing() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 3, None, 1_000_000).await;
    let (id, _) = add_consumer(&one, "c").await;
    hub.faults().set_latency(std::time::Duration::from_millis(10));
    let mut changes = tokio::task::JoinSet::new();
    changes.spawn(async move {
        loop {
            one.remove_scope(&origin(), &id, "t").await.unwrap();
            one.add_scope(&origin(), &id, "t").await.unwrap();
        }
    });
    for _ in 0..30 {
        draw(&other).await.unwrap();
    }
    changes.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_has_its_turn_among_draws_and_refusals() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 3, None, 1_000_000).await;
    hub.faults().set_latency(std::time::Duration::from_millis(50));
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..12 {
        let engine = engine.clone();
        let feature = if n < 8 { "f" } else { "unheard of" };
        callers.spawn(async move {
            loop {
                let _ = engine.draw(Caller::Admin, feature).await;
            }
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let origin = origin();
    let added = engine.add_key(&origin, key("late", None));
    tokio::time::timeout(std::time::Duration::from_secs(5), added).await.unwrap().unwrap();
    callers.shutdown().await;
}
