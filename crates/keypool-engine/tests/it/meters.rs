//! What is counted: each draw moves the counter of its own outcome and no other, under its feature's name if it is one.

use keypool_engine::meters::{CommitResult, Counted, DrawOutcome, Kind, Metrics};
use keypool_engine::{Caller, Engine, NewKey};

use crate::support::*;

/// What a feature's draws came to, those that did at all; `None` for names that are no feature's.
fn draws(engine: &Engine, feature: Option<&str>) -> Counted<DrawOutcome> {
    let metrics = engine.metrics();
    let outcomes = match feature {
        None => metrics.other_draws,
        Some(feature) => {
            let of_feature = metrics.draws.into_iter().find(|(name, _)| **name == *feature);
            of_feature.unwrap().1
        }
    };
    counted(outcomes)
}

fn counted<K: Kind>(all: Counted<K>) -> Counted<K> {
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// How many draws were timed: granted, refused, failed.
fn timed(metrics: &Metrics) -> (u64, u64, u64) {
    (metrics.granted.count(), metrics.refused.count(), metrics.failed.count())
}

#[tokio::test]
async fn a_draw_of_each_outcome_moves_its_own_counter() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(1, 60)), ("g", limit(10, 60)), ("h", limit(10, 60))])
        .await;
    add_tier(&engine, "u", &[("empty", limit(1, 60))]).await;
    engine
        .add_key(
            &origin(),
            NewKey { usage_limit: Some(2), usage_window_seconds: Some(100), ..key("k", "t") },
        )
        .await
        .unwrap();
    let (id, consumer) = add_consumer(&engine, "c", &["u"]).await;

    draw(&engine, "f").await.unwrap();
    assert_eq!(draws(&engine, Some("f")), [(DrawOutcome::Granted, 1)]);
    draw(&engine, "f").await.unwrap_err();
    assert_eq!(
        draws(&engine, Some("f")),
        [(DrawOutcome::Granted, 1), (DrawOutcome::RateLimited, 1)]
    );
    draw(&engine, "g").await.unwrap();
    draw(&engine, "g").await.unwrap_err();
    assert_eq!(
        draws(&engine, Some("g")),
        [(DrawOutcome::Granted, 1), (DrawOutcome::BudgetSpent, 1)]
    );
    draw(&engine, "empty").await.unwrap_err();
    assert_eq!(draws(&engine, Some("empty")), [(DrawOutcome::NoUsableKey, 1)]);
    engine.draw(consumer, "h").await.unwrap_err();
    assert_eq!(draws(&engine, Some("h")), [(DrawOutcome::OutOfScope, 1)]);
    engine.delete_consumer(&origin(), &id).await.unwrap();
    engine.draw(consumer, "h").await.unwrap_err();
    assert_eq!(
        draws(&engine, Some("h")),
        [(DrawOutcome::UnknownCaller, 1), (DrawOutcome::OutOfScope, 1)]
    );
    assert_eq!(timed(&engine.metrics()), (2, 5, 0));

    engine.close().await;
    draw(&engine, "empty").await.unwrap_err();
    assert_eq!(
        draws(&engine, Some("empty")),
        [(DrawOutcome::NoUsableKey, 1), (DrawOutcome::StoreUnavailable, 1)]
    );
    assert_eq!(
        draws(&engine, Some("f")),
        [(DrawOutcome::Granted, 1), (DrawOutcome::RateLimited, 1)]
    );
    assert_eq!(timed(&engine.metrics()), (2, 5, 1));
}

#[tokio::test]
async fn names_that_are_no_features_share_one_place() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (_, consumer) = add_consumer(&engine, "c", &["t"]).await;
    for n in 0..3 {
        draw(&engine, &format!("made-up-{n}")).await.unwrap_err();
    }
    engine.draw(consumer, "made-up").await.unwrap_err();
    let expected = [(DrawOutcome::OutOfScope, 1), (DrawOutcome::UnknownFeature, 3)];
    assert_eq!(draws(&engine, None), expected);
    let names: Vec<_> = engine.metrics().draws.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["f"]);
    engine.close().await;
}

#[tokio::test]
async fn a_grant_is_counted_once_it_is_on_record_whoever_is_still_there() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let mut leaves = Box::pin(engine.draw(Caller::Admin, "f"));
    assert!(
        std::future::poll_fn(|cx| std::task::Poll::Ready(leaves.as_mut().poll(cx)))
            .await
            .is_pending()
    );
    drop(leaves);
    engine.close().await;
    assert_eq!(draws(&engine, Some("f")), [(DrawOutcome::Granted, 1)]);
    assert_eq!(timed(&engine.metrics()), (0, 0, 0));
    assert_eq!(home.number("SELECT count(*) FROM usage_events").await, 1);
}

#[tokio::test]
async fn commits_are_counted_by_how_they_ended_with_their_size() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let before = engine.metrics();
    assert_eq!(counted(before.changes.results), [(CommitResult::Committed, 2)]);
    assert_eq!(before.changes.durations.count(), 2);
    let (a, b) = tokio::join!(draw(&engine, "f"), draw(&engine, "f"));
    a.and(b).unwrap();
    let mut intruder = home.intruder().await;
    sqlx::query("UPDATE pool SET revision = revision + 1").execute(&mut intruder).await.unwrap();
    draw(&engine, "f").await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut intruder).await.unwrap();
    draw(&engine, "f").await.unwrap_err();
    let metrics = engine.metrics();
    let expected =
        [(CommitResult::Committed, 2), (CommitResult::Stale, 1), (CommitResult::Failed, 1)];
    assert_eq!(counted(metrics.batches.results), expected);
    assert_eq!(metrics.batches.durations.count(), 4);
    assert_eq!((metrics.batch_sizes.count(), metrics.batch_sizes.sum), (4, 5));
    let outcomes = [(DrawOutcome::Granted, 3), (DrawOutcome::StoreUnavailable, 1)];
    assert_eq!(draws(&engine, Some("f")), outcomes);
    engine.close().await;
}

#[tokio::test]
async fn a_commit_in_doubt_is_counted_as_that() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let mut intruder = home.intruder().await;
    let hide = "PRAGMA legacy_alter_table = ON; ALTER TABLE usage_events RENAME TO hidden";
    sqlx::raw_sql(hide).execute(&mut intruder).await.unwrap();
    draw(&engine, "f").await.unwrap_err();
    assert_eq!(draws(&engine, Some("f")), [(DrawOutcome::CommitInDoubt, 1)]);
    assert_eq!(counted(engine.metrics().batches.results), [(CommitResult::InDoubt, 1)]);
    engine.close().await;
}

#[tokio::test]
async fn a_feature_that_no_tier_covers_any_more_stays_if_it_was_drawn() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("drawn", limit(1, 60)), ("never", limit(1, 60))]).await;
    draw(&engine, "drawn").await.unwrap_err();
    let features = vec![("kept".to_owned(), limit(1, 60))];
    let patch = keypool_engine::TierPatch { features: Some(features), ..Default::default() };
    engine.update_tier(&origin(), "t", patch).await.unwrap();
    let names: Vec<_> = engine.metrics().draws.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["drawn", "kept"]);
    engine.close().await;
}

#[tokio::test]
async fn what_admins_change_is_counted_thing_by_thing_once_it_is_on_record() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    engine.add_keys(&origin(), vec![key("k2", "t"), key("k3", "t")]).await.unwrap();
    let (id, _) = add_consumer(&engine, "c", &["t"]).await;
    engine.delete_consumer(&origin(), &id).await.unwrap();
    engine.delete_consumer(&origin(), &id).await.unwrap_err();
    let changed = engine.metrics().changed;
    let of = |what: &str| changed.iter().find(|(word, _)| *word == what).map_or(0, |(_, n)| *n);
    assert_eq!((of("add_tier"), of("add_key")), (1, 3));
    assert_eq!((of("add_consumer"), of("delete_consumer")), (1, 1));
    engine.close().await;
}
