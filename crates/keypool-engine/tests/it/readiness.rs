//! Whether draws can be recorded, and what becomes of them while a file is locked by somebody else.

use std::time::Duration;

use keypool_engine::{DrawError, Engine, EngineSettings, Sealer, SqliteSettings, Unavailable};
use sqlx::sqlite::SqliteConnection;
use tokio::task::JoinSet;

use crate::support::*;

const A_SECOND: Duration = Duration::from_secs(1);

/// Counts from now on how often the server commits only to find out.
async fn count_probes(home: &Home) {
    let counting = "CREATE TABLE probes (at INTEGER);
        CREATE TRIGGER count_probes AFTER UPDATE OF fence ON replicas BEGIN INSERT INTO probes VALUES (1); END";
    sqlx::raw_sql(counting).execute(&mut home.intruder().await).await.unwrap();
}

async fn probes(home: &Home) -> i64 {
    home.number("SELECT count(*) FROM probes").await
}

/// Keeps everybody else from writing until it is dropped.
async fn lock(home: &Home) -> SqliteConnection {
    let mut intruder = home.intruder().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut intruder).await.unwrap();
    intruder
}

async fn is_unavailable(engine: &Engine) -> bool {
    matches!(engine.ready().await, Err(Unavailable::Store))
}

#[tokio::test]
async fn a_commit_within_the_last_second_says_that_it_is_ready() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    count_probes(&home).await;
    for _ in 0..3 {
        engine.ready().await.unwrap();
        home.clock.advance(A_SECOND);
        value(&engine, "f").await;
    }
    assert_eq!(probes(&home).await, 0);
    engine.close().await;
}

#[tokio::test]
async fn where_nothing_is_committed_one_commit_a_second_finds_out_for_all() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    count_probes(&home).await;
    for round in 1..=3 {
        home.clock.advance(A_SECOND);
        let mut askers = JoinSet::new();
        for _ in 0..100 {
            let engine = engine.clone();
            askers.spawn(async move { engine.ready().await });
        }
        while let Some(answer) = askers.join_next().await {
            answer.unwrap().unwrap();
        }
        engine.ready().await.unwrap();
        assert_eq!(probes(&home).await, round);
    }
    value(&engine, "f").await;
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test]
async fn asking_reaches_the_disk_and_grows_nothing() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let journal = || std::fs::metadata(home.path.with_extension("db-wal")).unwrap().len();
    let before = journal();
    home.clock.advance(A_SECOND);
    engine.ready().await.unwrap();
    assert!(journal() > before, "a commit writes to the journal");
    let pages = home.number("SELECT page_count FROM pragma_page_count").await;
    for _ in 0..50 {
        home.clock.advance(A_SECOND);
        engine.ready().await.unwrap();
    }
    assert_eq!(home.number("SELECT page_count FROM pragma_page_count").await, pages);
    assert_eq!(home.number("SELECT count(*) FROM replicas").await, 1);
    engine.close().await;
}

#[tokio::test]
async fn a_database_that_takes_no_commit_is_not_ready_until_it_does() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let intruder = lock(&home).await;
    engine.ready().await.unwrap();
    home.clock.advance(A_SECOND);
    assert!(is_unavailable(&engine).await);
    drop(intruder);
    assert!(is_unavailable(&engine).await, "it is not asked again within a second");
    home.clock.advance(A_SECOND);
    engine.ready().await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_draw_that_could_not_be_recorded_says_that_it_is_not_ready() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let intruder = lock(&home).await;
    let failed = draw(&engine, "f").await.unwrap_err();
    assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    assert!(is_unavailable(&engine).await);
    drop(intruder);
    value(&engine, "f").await;
    engine.ready().await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_closed_pool_is_not_ready() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    engine.close().await;
    assert!(matches!(engine.ready().await, Err(Unavailable::Closing)));
}

/// The first to come waits for the lock as long as the setting says; nobody else does.
#[tokio::test]
async fn while_a_file_stays_locked_draws_are_refused_at_once() {
    let home = Home::new();
    with_keys(&home, 1, Some(2)).await.close().await;
    let store = SqliteSettings {
        path: home.path.clone(),
        synchronous: keypool_engine::Synchronous::Normal,
        busy_timeout: Duration::from_millis(1_500),
    };
    let settings = EngineSettings { store: store.into(), ..home.settings(Sealer::plain()) };
    let engine = Engine::open(settings).await.unwrap();
    let intruder = lock(&home).await;
    for _ in 0..2 {
        let failed = draw(&engine, "f").await.unwrap_err();
        assert!(matches!(failed, DrawError::Unavailable(Unavailable::Store)), "{failed:?}");
    }
    // The lock is asked for again and again meanwhile; whoever comes does not wait for that.
    for _ in 0..1_000 {
        draw(&engine, "f").await.unwrap_err();
        assert!(engine.add_key(&origin(), key("late", "t")).await.is_err());
        assert!(is_unavailable(&engine).await);
    }
    drop(intruder);
    let back = async {
        while engine.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
    value(&engine, "f").await;
    value(&engine, "f").await;
    refusal(draw(&engine, "f").await);
    assert_counters_equal_events(&home).await;
    engine.close().await;
}
