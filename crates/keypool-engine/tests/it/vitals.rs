//! How the engine says that it is.

use std::time::Duration;

use keypool_engine::Timestamp;

use crate::support::*;

#[tokio::test]
async fn tells_how_long_it_is_open_and_when_it_committed_last() {
    let home = Home::new();
    let engine = home.open().await;
    let vitals = engine.vitals();
    assert_eq!((vitals.driver, vitals.last_commit_at), ("sqlite", None));
    assert!(vitals.schema_version >= 4);
    assert_eq!((vitals.queued_draws, vitals.queued_changes), (0, 0));
    assert_eq!(vitals.memory_age, None);
    home.clock.advance(Duration::from_secs(5));
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    assert_eq!(engine.vitals().last_commit_at, Some(Timestamp::from_millis(START + 5_000)));
    home.clock.advance(Duration::from_secs(2));
    value(&engine, "f").await;
    let vitals = engine.vitals();
    assert_eq!(vitals.last_commit_at, Some(Timestamp::from_millis(START + 7_000)));
    assert_eq!(vitals.uptime, Duration::from_secs(7));
    engine.close().await;
}

#[tokio::test]
async fn tells_how_its_time_stands_to_the_wall_clock() {
    let home = Home::new();
    let engine = home.open().await;
    assert_eq!(engine.vitals().clock_offset_ms, 0);
    home.clock.set_wall(Timestamp::from_millis(START - 3_000));
    assert_eq!(engine.vitals().clock_offset_ms, 3_000);
    let two_days_ms = 2 * 86_400_000;
    home.clock.set_wall(Timestamp::from_millis(START + two_days_ms));
    let vitals = engine.vitals();
    assert_eq!(vitals.clock_offset_ms, -two_days_ms);
    assert_eq!(vitals.clock_ahead, Some(Duration::from_secs(2 * 86_400)));
    engine.close().await;
}

#[tokio::test]
async fn tells_how_much_room_the_file_takes() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let figures = engine.file_figures().await.unwrap().unwrap();
    assert!(figures.file_bytes + figures.journal_bytes >= 4_096, "{figures:?}");
    assert_eq!(figures.file_bytes, std::fs::metadata(&home.path).unwrap().len());
    let mut intruder = home.intruder().await;
    let fill = "CREATE TABLE room (filler TEXT); INSERT INTO room VALUES (hex(zeroblob(50000)));
        DROP TABLE room; PRAGMA wal_checkpoint(TRUNCATE)";
    sqlx::raw_sql(fill).execute(&mut intruder).await.unwrap();
    let emptied = engine.file_figures().await.unwrap().unwrap();
    assert_eq!(emptied.journal_bytes, 0);
    assert!(emptied.free_bytes >= figures.free_bytes + 90_000, "{emptied:?}");
    assert!(emptied.file_bytes >= emptied.free_bytes);
    engine.close().await;
}
