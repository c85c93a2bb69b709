//! Limits are exact over all replicas (promises 1 and 7), and nobody is refused or failed for what is free.

use std::time::Duration;

use keypool_engine::{Engine, Limit, ManualClock, Refusal, Timestamp};
use keypool_test_server::{Fault, When};
use tokio::task::JoinSet;

use crate::support::*;

/// Draws with so many callers on each engine until each was refused; gives the number of grants.
async fn exhaust(engines: &[Engine], callers: usize) -> i64 {
    let mut all = JoinSet::new();
    for engine in engines {
        for _ in 0..callers {
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
    all.join_all().await.into_iter().sum()
}

async fn three(hub: &Hub) -> [Engine; 3] {
    [hub.replica().await, hub.replica().await, hub.replica().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_for_life_are_spent_to_the_unit() {
    let hub = Hub::start().await;
    let engines = three(&hub).await;
    fill(&engines[0], 10, Some(137), 1_000_000).await;
    assert_eq!(exhaust(&engines, 16).await, 10 * 137);
    assert_eq!(hub.events().await, 10 * 137);
    hub.assert_counters_equal_events().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_windows_are_opened_once_for_all_and_filled_to_the_call() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let mut engines = Vec::new();
    for _ in 0..3 {
        engines.push(hub.replica_at(&clock).await);
    }
    fill(&engines[0], 7, None, 11).await;
    for round in 1..=3 {
        assert_eq!(exhaust(&engines, 8).await, 7 * 11, "round {round}");
        hub.assert_counters_equal_events().await;
        clock.advance(Duration::from_secs(60));
        hub.faults().set_clock(Some(START + round * 60_000));
    }
    assert_eq!(hub.events().await, 3 * 7 * 11);
}

#[tokio::test]
async fn a_window_that_another_replica_opened_is_the_one_that_counts() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let (one, other) = (hub.replica_at(&clock).await, hub.replica_at(&clock).await);
    fill(&one, 1, None, 3).await;
    value(&one).await;
    clock.advance(Duration::from_secs(20));
    hub.faults().set_clock(Some(START + 20_000));
    value(&other).await;
    value(&other).await;
    let spent = Refusal::Spent { limit: Limit::Rate, retry_after: Duration::from_secs(40) };
    assert_eq!(refusal(draw(&other).await), spent);
    assert_eq!(refusal(draw(&one).await), spent);
    hub.assert_counters_equal_events().await;
}

#[tokio::test]
async fn a_key_that_another_replica_used_up_costs_the_others_of_a_batch_nothing() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 4, Some(5), 1_000_000).await;
    value(&other).await;
    // All but the last unit, behind the other's back.
    for _ in 0..18 {
        value(&one).await;
    }
    let mut draws = JoinSet::new();
    for _ in 0..6 {
        let other = other.clone();
        draws.spawn(async move { draw(&other).await });
    }
    let outcomes = draws.join_all().await;
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(granted, 1);
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(refusal(outcome), Refusal::NoUsableKey);
    }
    assert_eq!(hub.events().await, 20);
}

#[tokio::test]
async fn near_a_limit_a_replica_stops_guessing() {
    let hub = Hub::start().await;
    let (one, other) = (hub.replica().await, hub.replica().await);
    fill(&one, 300, Some(1), 1_000_000).await;
    value(&other).await;
    // What the watcher would tell is held back: the other replica goes by what it drew itself.
    let pulses = hub.faults().inject(Fault::Nothing, When::always().matching("draw_batch"));
    for _ in 0..299 {
        value(&one).await;
    }
    let before = pulses.hits();
    assert_eq!(refusal(draw(&other).await), Refusal::NoUsableKey);
    assert!(pulses.hits() - before <= 4, "{} batches", pulses.hits() - before);
}

#[tokio::test]
async fn a_refusal_says_when_by_the_true_windows() {
    let hub = Hub::start().await;
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let (one, other) = (hub.replica_at(&clock).await, hub.replica_at(&clock).await);
    fill(&one, 2, None, 2).await;
    for _ in 0..4 {
        value(&one).await;
    }
    clock.advance(Duration::from_millis(1_500));
    hub.faults().set_clock(Some(START + 1_500));
    let expected =
        Refusal::Spent { limit: Limit::Rate, retry_after: Duration::from_millis(58_500) };
    assert_eq!(refusal(draw(&other).await), expected);
}
