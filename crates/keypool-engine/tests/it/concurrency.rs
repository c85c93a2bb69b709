//! Many at once: exactly the limits (promise 1), exactly the events (promises 2 and 3), and changes that hold at once
//! (promise 5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keypool_engine::{Caller, DrawError, Refusal};
use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_clients_get_exactly_what_five_budgets_hold() {
    let home = Home::new();
    let engine = with_keys(&home, 5, Some(100)).await;
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let engine = engine.clone();
        clients.spawn(async move {
            let mut grants = 0_u64;
            loop {
                match engine.draw(Caller::Admin, "f").await {
                    Ok(_) => grants += 1,
                    Err(DrawError::Refused(Refusal::NoUsableKey)) => return grants,
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }
    assert_eq!(clients.join_all().await.iter().sum::<u64>(), 500);
    assert!(engine.keys().await.iter().all(|key| key.usage_count == 100));
    assert_eq!(home.number("SELECT count(*) FROM usage_events").await, 500);
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deleted_key_is_not_granted_after_the_answer() {
    let home = Home::new();
    let engine = with_keys(&home, 4, None).await;
    let deleted = Arc::clone(&engine.keys().await[0].id);
    let is_deleted = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (engine, is_deleted, deleted) =
            (engine.clone(), Arc::clone(&is_deleted), Arc::clone(&deleted));
        clients.spawn(async move {
            let mut after = 0;
            while after < 50 {
                let was_deleted = is_deleted.load(Ordering::SeqCst);
                let served = engine.draw(Caller::Admin, "f").await.unwrap();
                if was_deleted {
                    assert_ne!(served.key_id, deleted);
                    after += 1;
                }
            }
        });
    }
    engine.delete_key(&origin(), &deleted).await.unwrap();
    is_deleted.store(true, Ordering::SeqCst);
    clients.join_all().await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_added_under_load_fail_no_draw_and_overrun_no_budget() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(50)).await;
    let mut clients = JoinSet::new();
    let done = Arc::new(AtomicBool::new(false));
    for _ in 0..8 {
        let (engine, done) = (engine.clone(), Arc::clone(&done));
        clients.spawn(async move {
            let mut grants = 0_u64;
            loop {
                let was_done = done.load(Ordering::SeqCst);
                match engine.draw(Caller::Admin, "f").await {
                    Ok(_) => grants += 1,
                    Err(DrawError::Refused(Refusal::NoUsableKey)) if was_done => return grants,
                    Err(DrawError::Refused(Refusal::NoUsableKey)) => tokio::task::yield_now().await,
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }
    for n in 0..20 {
        let key = keypool_engine::NewKey { usage_limit: Some(50), ..key(&format!("new{n}"), "t") };
        engine.add_key(&origin(), key).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    assert_eq!(clients.join_all().await.iter().sum::<u64>(), 21 * 50);
    assert_eq!(home.number("SELECT count(*) FROM usage_events").await, 21 * 50);
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_goes_away_leaves_a_grant_that_is_whole() {
    let home = Home::new();
    let engine = with_keys(&home, 2, None).await;
    for _ in 0..50 {
        let drawing = engine.clone();
        let mut client = JoinSet::new();
        client.spawn(async move { drawing.draw(Caller::Admin, "f").await });
        tokio::task::yield_now().await;
        client.abort_all();
    }
    engine.close().await;
    assert_counters_equal_events(&home).await;
}
