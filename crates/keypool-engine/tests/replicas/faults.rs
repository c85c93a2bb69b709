//! A database that fails, is slow, or is somebody else's by now (promise 2).

use std::time::Duration;

use keypool_engine::{Broken, DrawError, Engine, Unavailable};
use keypool_test_server::{Fault, When};
use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_get_lost_cost_no_caller_its_key_and_nobody_a_unit() {
    let hub = Hub::start().await;
    let engines = [hub.replica().await, hub.replica().await];
    fill(&engines[0], 3, Some(100), 1_000_000).await;
    for fault in [Fault::DropAnswer, Fault::Repeat, Fault::Refuse] {
        for skip in [1, 4, 9, 14] {
            hub.faults().inject(fault, When::once().matching("draw_batch").after(skip));
        }
    }
    let mut all = JoinSet::new();
    for engine in &engines {
        for _ in 0..5 {
            let engine = engine.clone();
            all.spawn(async move {
                for _ in 0..20 {
                    draw(&engine).await.unwrap();
                }
            });
        }
    }
    all.join_all().await;
    assert_eq!(hub.events().await, 200);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn while_the_database_does_not_answer_draws_fail_and_then_go_on() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, Some(3), 1_000_000).await;
    value(&engine).await;
    hub.faults().inject(Fault::Hang, When::always());
    let failed = draw(&engine).await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(_)), "{failed:?}");
    assert!(engine.confirm_current().await.is_err());
    hub.faults().clear();
    until(async || engine.ready().await.is_ok()).await;
    value(&engine).await;
    value(&engine).await;
    refusal(draw(&engine).await);
    assert_eq!(hub.events().await, 3);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn while_the_database_is_silent_nobody_new_waits_for_it() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, Some(3), 1_000_000).await;
    value(&engine).await;
    let sent = hub.faults().inject(Fault::Nothing, When::always().matching("draw_batch"));
    hub.faults().inject(Fault::Hang, When::always());
    let mut first = JoinSet::new();
    let asking = engine.clone();
    first.spawn(async move { draw(&asking).await });
    until(async || sent.hits() > 0).await;
    // It comes while the batch of the first is on its way: refused once that takes too long, and from then on at once.
    let second = draw(&engine).await.unwrap_err();
    assert!(matches!(second, DrawError::Unavailable(Unavailable::Store)), "{second:?}");
    for _ in 0..1_000 {
        let failed = draw(&engine).await.unwrap_err();
        assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    }
    assert!(engine.add_key(&origin(), key("late", None)).await.is_err());
    assert!(engine.confirm_current().await.is_err());
    assert!(engine.ready().await.is_err());
    assert!(first.try_join_next().is_none(), "it is still being looked for");
    hub.faults().clear();
    drop(first.join_all().await);
    until(async || engine.ready().await.is_ok()).await;
    while draw(&engine).await.is_ok() {}
    assert_eq!(hub.events().await, 3);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, None, 1_000_000_000).await;
    hub.faults().inject(Fault::Hang, When::always());
    let mut all = JoinSet::new();
    for _ in 0..12_000 {
        let engine = engine.clone();
        all.spawn(async move { draw(&engine).await });
    }
    let mut overloaded = 0;
    while let Some(outcome) = all.join_next().await {
        match outcome.unwrap() {
            Err(DrawError::Unavailable(Unavailable::Overloaded)) => overloaded += 1,
            Err(DrawError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=2_000).contains(&overloaded), "{overloaded}");
    hub.faults().clear();
    until(async || engine.ready().await.is_ok()).await;
    value(&engine).await;
}

#[tokio::test]
async fn a_replica_whose_number_was_given_away_goes_on_under_another() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, None, 1_000).await;
    value(&engine).await;
    let mut intruder = hub.intruder().await;
    sqlx::query("UPDATE replicas SET fence = 7").execute(&mut intruder).await.unwrap();
    value(&engine).await;
    sqlx::query("UPDATE replicas SET fence = 8").execute(&mut intruder).await.unwrap();
    engine.add_key(&origin(), key("k2", None)).await.unwrap();
    value(&engine).await;
    assert_eq!(hub.number("SELECT count(*) FROM replicas").await, 3);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_replica_of_an_older_version_ends() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, None, 1_000).await;
    let mut intruder = hub.intruder().await;
    let later = "INSERT INTO schema_migrations (version, name) VALUES (99, 'later')";
    sqlx::query(later).execute(&mut intruder).await.unwrap();
    let failed = draw(&engine).await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    let broken = tokio::time::timeout(Duration::from_secs(5), engine.broken()).await.unwrap();
    assert_eq!(broken, Broken::Outdated);
    assert_eq!(hub.events().await, 0);
}

#[tokio::test]
async fn a_stolen_lock_or_an_expired_stream_is_no_failure() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, None, 1_000).await;
    for _ in 0..5 {
        hub.faults().expire_streams();
        hub.faults().steal_locks();
        value(&engine).await;
        engine.confirm_current().await.unwrap();
    }
}

async fn drawn(engine: &Engine) -> i64 {
    engine.keys().await.iter().map(|key| i64::try_from(key.usage_count).unwrap()).sum()
}

#[tokio::test]
async fn a_replica_that_was_closed_leaves_its_draws_to_the_others() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 2, Some(10), 1_000).await;
    for _ in 0..5 {
        value(&one).await;
    }
    one.close().await;
    until(async || drawn(&other).await == 5).await;
    value(&other).await;
    assert_eq!(hub.events().await, 6);
}
