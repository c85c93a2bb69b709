//! What was committed is there after a restart (promise 3): counts, windows, rotation (promise 4).

use std::time::Duration;

use keypool_engine::{
    Engine, EngineSettings, Limit, NewKey, OpenError, Refusal, Sealer, Timestamp,
};

use crate::support::*;

#[tokio::test]
async fn rate_and_budget_state_is_what_it_was() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(3, 60))]).await;
    let budget =
        NewKey { usage_limit: Some(5), usage_window_seconds: Some(1_000), ..key("k", "t") };
    engine.add_key(&origin(), budget).await.unwrap();
    for _ in 0..3 {
        value(&engine, "f").await;
    }
    let before = engine.keys().await;
    engine.close().await;
    home.clock.advance(Duration::from_secs(20));
    let engine = home.open().await;
    assert_eq!(engine.keys().await, before);
    let retry_after = Duration::from_secs(40);
    assert_eq!(
        refusal(draw(&engine, "f").await),
        Refusal::Spent { limit: Limit::Rate, retry_after }
    );
    home.clock.advance(retry_after);
    value(&engine, "f").await;
    value(&engine, "f").await;
    let retry_after = Duration::from_secs(940);
    assert_eq!(
        refusal(draw(&engine, "f").await),
        Refusal::Spent { limit: Limit::Budget, retry_after }
    );
    engine.close().await;
}

#[tokio::test]
async fn round_robin_goes_on() {
    let home = Home::new();
    let engine = with_keys(&home, 3, None).await;
    value(&engine, "f").await;
    engine.close().await;
    for expected in ["value-of-k2", "value-of-k3", "value-of-k1", "value-of-k2"] {
        let engine = home.open().await;
        assert_eq!(value(&engine, "f").await, expected);
        engine.close().await;
    }
}

#[tokio::test]
async fn a_dropped_engine_loses_nothing_that_was_answered() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(10)).await;
    for _ in 0..4 {
        value(&engine, "f").await;
    }
    drop(engine);
    let engine = reopen(&home).await;
    assert_eq!(engine.keys().await[0].usage_count, 4);
    engine.close().await;
}

#[tokio::test]
async fn two_engines_on_one_file_are_refused() {
    let home = Home::new();
    let engine = home.open().await;
    let refused = home.try_open(Sealer::plain()).await.unwrap_err();
    let text = format!("{:?}", anyhow_like(&refused));
    assert!(text.contains("pool.db"), "{text}");
    engine.close().await;
    home.open().await.close().await;
}

#[tokio::test]
async fn a_clock_far_behind_the_newest_event_is_refused_unless_accepted() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    value(&engine, "f").await;
    engine.close().await;
    home.clock.set_wall(Timestamp::from_millis(START - 25 * 3_600_000));
    let refused = home.try_open(Sealer::plain()).await.unwrap_err();
    assert!(matches!(refused, OpenError::ClockBehind { behind_secs: 90_000, .. }), "{refused:?}");
    let settings = EngineSettings { accept_clock: true, ..home.settings(Sealer::plain()) };
    let engine = Engine::open(settings).await.unwrap();
    assert!(engine.now() >= Timestamp::from_millis(START));
    value(&engine, "f").await;
    engine.close().await;
}

/// The committer of a dropped engine may still hold the lock for a moment.
pub(crate) async fn reopen(home: &Home) -> Engine {
    for _ in 0..1_000 {
        match home.try_open(Sealer::plain()).await {
            Ok(engine) => return engine,
            Err(_) => tokio::task::yield_now().await,
        }
    }
    home.open().await
}

fn anyhow_like(error: &dyn std::error::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts
}
