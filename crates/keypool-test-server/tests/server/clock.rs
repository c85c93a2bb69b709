//! The clock that statements read.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::start;

const NOW_MS: &str = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)";

fn system_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

#[tokio::test]
async fn by_default_it_is_the_systems() {
    let started = start().await;
    let before = system_ms();
    let read = started.number(NOW_MS).await;
    assert!((before..=system_ms()).contains(&read), "{read}");
}

#[tokio::test]
async fn it_can_run_ahead_and_behind() {
    let started = start().await;
    let faults = started.server.faults();
    for skew_ms in [3_600_000, -86_400_000] {
        faults.skew_clock(skew_ms);
        let before = system_ms();
        let read = started.number(NOW_MS).await - skew_ms;
        assert!((before..=system_ms()).contains(&read), "{read}");
    }
}

#[tokio::test]
async fn it_can_be_stopped_and_set() {
    let started = start().await;
    let faults = started.server.faults();
    faults.skew_clock(5_000);
    for now_ms in [0, 1, 1_700_000_000_999, 4_102_444_800_001] {
        faults.set_clock(Some(now_ms));
        assert_eq!(started.number(NOW_MS).await, now_ms);
        assert_eq!(faults.clock_ms(), now_ms);
    }
    faults.set_clock(None);
    assert!(started.number(NOW_MS).await >= system_ms() + 4_000);
}

#[tokio::test]
async fn it_stands_still_within_a_statement() {
    let started = start().await;
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
        SELECT count(DISTINCT julianday('now')) FROM n";
    assert_eq!(started.number(sql).await, 1);
}

#[tokio::test]
async fn triggers_read_it_too() {
    let started = start().await;
    let connection = started.connect().await;
    connection
        .execute_batch(
            "CREATE TABLE t (a, at);
             CREATE VIEW v AS SELECT a FROM t;
             CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN
                 INSERT INTO t VALUES (NEW.a,
                     CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER));
             END",
        )
        .await
        .unwrap();
    started.server.faults().set_clock(Some(1_234_567_890_123));
    connection.execute("INSERT INTO v VALUES (1)", ()).await.unwrap();
    assert_eq!(started.number("SELECT at FROM t").await, 1_234_567_890_123);
}
