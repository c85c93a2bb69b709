//! Time is the database's, whatever the replicas' clocks show.

use std::time::Duration;

use keypool_engine::{Limit, ManualClock, OpenError, Refusal, Timestamp};

use crate::support::*;

fn clock_at(ms: i64) -> ManualClock {
    ManualClock::new(Timestamp::from_millis(ms))
}

#[tokio::test]
async fn replicas_whose_clocks_are_five_minutes_apart_keep_one_window() {
    let hub = Hub::start().await;
    let (early, late) = (clock_at(START - 150_000), clock_at(START + 150_000));
    let (one, other) = (hub.replica_at(&early).await, hub.replica_at(&late).await);
    assert_eq!(one.now(), Timestamp::from_millis(START));
    assert_eq!(other.now(), Timestamp::from_millis(START));
    fill(&one, 1, None, 4).await;
    for _ in 0..2 {
        value(&one).await;
        value(&other).await;
    }
    let spent = Refusal::Spent { limit: Limit::Rate, retry_after: Duration::from_secs(60) };
    assert_eq!(refusal(draw(&one).await), spent);
    assert_eq!(refusal(draw(&other).await), spent);
    let moments = "SELECT count(DISTINCT id >> 21) FROM usage_events";
    assert_eq!(hub.number(moments).await, 1, "all events are of the database's moment");
}

#[tokio::test]
async fn a_database_whose_clock_moved_is_followed_within_the_draw() {
    let hub = Hub::start().await;
    let clock = clock_at(START);
    let engine = hub.replica_at(&clock).await;
    fill(&engine, 1, None, 100).await;
    value(&engine).await;
    // Ten seconds that this machine slept through without counting them.
    hub.faults().set_clock(Some(START + 10_000));
    value(&engine).await;
    hub.faults().set_clock(Some(START + 5_000));
    value(&engine).await;
    assert_eq!(hub.events().await, 3);
}

#[tokio::test]
async fn a_database_a_day_behind_its_own_events_stops_the_start() {
    let hub = Hub::start().await;
    let engine = hub.replica().await;
    fill(&engine, 1, None, 100).await;
    value(&engine).await;
    engine.close().await;
    hub.faults().set_clock(Some(START - 25 * 3_600_000));
    let refused = hub.try_replica_at(&clock_at(START)).await.unwrap_err();
    assert!(matches!(refused, OpenError::ClockBehind { .. }), "{refused}");
}
