//! Faults from beside: a locked database, a commit in doubt (promise 2), a pool that another writer changed, a counter
//! that is ahead (promise 1).

use keypool_engine::{DrawError, Refusal, Unavailable};

use crate::support::*;

#[tokio::test]
async fn a_locked_database_reveals_nothing_and_gives_the_limits_back() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(2)).await;
    let mut intruder = home.intruder().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut intruder).await.unwrap();
    for _ in 0..3 {
        let failed = draw(&engine, "f").await.unwrap_err();
        assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    }
    assert!(engine.add_key(&origin(), key("late", "t")).await.is_err());
    sqlx::query("ROLLBACK").execute(&mut intruder).await.unwrap();
    value(&engine, "f").await;
    value(&engine, "f").await;
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    assert_eq!(engine.keys().await.len(), 1);
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test]
async fn a_pool_that_another_writer_changed_is_taken_over_within_the_draw() {
    let home = Home::new();
    let engine = with_keys(&home, 2, None).await;
    value(&engine, "f").await;
    let mut intruder = home.intruder().await;
    let disable = "UPDATE keys SET is_active = 0 WHERE name = 'k2'";
    sqlx::query(disable).execute(&mut intruder).await.unwrap();
    sqlx::query("UPDATE pool SET revision = revision + 1").execute(&mut intruder).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k1");
    assert!(!engine.keys().await[1].is_active);
    engine.add_key(&origin(), key("k3", "t")).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k3");
    engine.close().await;
}

#[tokio::test]
async fn a_change_on_an_old_state_is_planned_anew() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let mut intruder = home.intruder().await;
    sqlx::query("UPDATE pool SET revision = revision + 5").execute(&mut intruder).await.unwrap();
    engine.add_key(&origin(), key("k2", "t")).await.unwrap();
    assert_eq!(engine.keys().await.len(), 2);
    engine.close().await;
}

#[tokio::test]
async fn a_pool_that_cannot_be_loaded_anew_grants_nothing_until_it_can() {
    let home = Home::new();
    let engine = with_keys(&home, 2, None).await;
    let mut intruder = home.intruder().await;
    for sql in [
        "UPDATE keys SET is_active = 0 WHERE name = 'k2'",
        "UPDATE pool SET revision = revision + 1",
        "ALTER TABLE features RENAME TO hidden",
    ] {
        sqlx::query(sql).execute(&mut intruder).await.unwrap();
    }
    for _ in 0..3 {
        let failed = draw(&engine, "f").await.unwrap_err();
        assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    }
    assert!(engine.add_key(&origin(), key("late", "t")).await.is_err());
    let bring_back = "ALTER TABLE hidden RENAME TO features";
    sqlx::query(bring_back).execute(&mut intruder).await.unwrap();
    for _ in 0..3 {
        assert_eq!(value(&engine, "f").await, "value-of-k1");
    }
    engine.add_key(&origin(), key("k3", "t")).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k3");
    engine.close().await;
}

/// Hides the usage events, so that neither a batch nor the look whether it arrived succeeds.
async fn hide_events(intruder: &mut sqlx::SqliteConnection, from: &str, to: &str) {
    let rename = format!("PRAGMA legacy_alter_table = ON; ALTER TABLE {from} RENAME TO {to}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(intruder).await.unwrap();
}

#[tokio::test]
async fn a_commit_in_doubt_reveals_nothing_and_ends_as_the_database_has_it() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(1)).await;
    let mut intruder = home.intruder().await;
    hide_events(&mut intruder, "usage_events", "hidden").await;
    let failed = draw(&engine, "f").await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(Unavailable::InDoubt)), "{failed:?}");
    // While nobody can know, nobody is refused for the unit that may be spent.
    let failed = draw(&engine, "f").await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    assert!(engine.confirm_current().await.is_err());
    hide_events(&mut intruder, "hidden", "usage_events").await;
    // The connection that was opened meanwhile takes the table for hidden, fails and is replaced.
    let failed = draw(&engine, "f").await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    assert_eq!(value(&engine, "f").await, "value-of-k1");
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    assert_eq!(home.number("SELECT count(*) FROM usage_events").await, 1);
    assert_counters_equal_events(&home).await;
    engine.confirm_current().await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_budget_that_another_writer_spent_is_not_overrun() {
    let home = Home::new();
    let engine = with_keys(&home, 2, Some(3)).await;
    value(&engine, "f").await;
    value(&engine, "f").await;
    let mut intruder = home.intruder().await;
    let spend = "UPDATE budget_counters SET used = 3, opening = opening + 2
        WHERE key_no = (SELECT min(key_no) FROM keys)";
    sqlx::query(spend).execute(&mut intruder).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k2");
    assert_eq!(value(&engine, "f").await, "value-of-k2");
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    assert_eq!(home.number("SELECT count(*) FROM usage_events").await, 4);
    engine.close().await;
}

#[tokio::test]
async fn a_closed_pool_serves_nobody() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    engine.close().await;
    let failed = draw(&engine, "f").await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(Unavailable::Closing)));
    assert!(engine.add_key(&origin(), key("late", "t")).await.is_err());
    engine.close().await;
}
