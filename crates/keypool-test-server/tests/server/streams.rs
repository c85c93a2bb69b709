//! Streams, their batons and the write lock.

use std::time::{Duration, Instant};

use crate::client::{eventually, start, start_with, start_with_table};

const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_baton_is_good_for_one_request() {
    let started = start().await;
    let first = started.on(None, "SELECT 1").await.baton();
    let second = started.on(Some(&first), "SELECT 1").await;
    assert_eq!(second.status, 200);
    assert_ne!(second.baton(), first);
    let again = started.on(Some(&first), "SELECT 1").await;
    assert_eq!(again.status, 400);
    assert_eq!(again.json()["code"], "STREAM_BATON_REUSED");
    assert_eq!(started.on(Some(&second.baton()), "SELECT 1").await.status, 200);
    for unknown in ["stream-77-1", "nonsense"] {
        let answer = started.on(Some(unknown), "SELECT 1").await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["code"], "STREAM_BATON_INVALID");
    }
}

#[tokio::test]
async fn a_close_leaves_no_stream_and_rolls_back() {
    let (started, _connection) = start_with_table().await;
    let counts = started.server.counts();
    let before = counts.open_streams();
    let begun = started.on(None, "BEGIN").await.baton();
    let inserted = started.on(Some(&begun), "INSERT INTO t VALUES (1, 1)").await.baton();
    assert_eq!(counts.open_streams(), before + 1);
    let close = format!(r#"{{"baton":"{inserted}","requests":[{{"type":"close"}}]}}"#);
    let closed = started.pipeline(&close).await.json();
    assert!(closed["baton"].is_null());
    assert_eq!(closed["results"][0]["response"]["type"], "close");
    assert_eq!(counts.open_streams(), before);
    assert_eq!(started.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn an_idle_stream_expires_and_rolls_back() {
    let started = start_with(|settings| settings.stream_idle = SHORT).await;
    let connection = started.connect().await;
    connection.execute("CREATE TABLE t (a)", ()).await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", ()).await.unwrap();
    let counts = started.server.counts();
    eventually("the expiry", async || counts.open_streams() == 0).await;
    // The lock is free again, and the client is told.
    connection.execute("INSERT INTO t VALUES (2)", ()).await.unwrap();
    let error = transaction.execute("INSERT INTO t VALUES (3)", ()).await.unwrap_err().to_string();
    assert!(error.contains("400") && error.contains("STREAM_EXPIRED"), "{error}");
    assert_eq!(started.number("SELECT sum(a) FROM t").await, 2);
}

#[tokio::test]
async fn a_stream_that_is_used_does_not_expire() {
    let started = start_with(|settings| settings.stream_idle = Duration::from_millis(400)).await;
    let began = Instant::now();
    let mut baton = started.on(None, "SELECT 1").await.baton();
    while began.elapsed() < Duration::from_millis(900) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = started.on(Some(&baton), "SELECT 1").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        baton = answer.baton();
    }
}

#[tokio::test]
async fn one_stream_too_many_is_answered_429() {
    let started = start_with(|settings| settings.most_streams = 2).await;
    let first = started.on(None, "SELECT 1").await.baton();
    started.on(None, "SELECT 1").await;
    let refused = started.on(None, "SELECT 1").await;
    assert_eq!(refused.status, 429);
    assert!(serde_json::from_slice::<serde_json::Value>(&refused.body).is_err());
    let error = started.connect().await.execute("SELECT 1", ()).await.unwrap_err().to_string();
    assert!(error.contains("429"), "{error}");
    started.pipeline(&format!(r#"{{"baton":"{first}","requests":[{{"type":"close"}}]}}"#)).await;
    assert_eq!(started.on(None, "SELECT 1").await.status, 200);
    assert_eq!(started.server.counts().peak_streams(), 2);
}

#[tokio::test]
async fn a_writer_steals_a_lock_that_is_held_too_long() {
    let started = start_with(|settings| settings.lock_timeout = SHORT).await;
    let connection = started.connect().await;
    connection.execute("CREATE TABLE t (a)", ()).await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", ()).await.unwrap();
    let began = Instant::now();
    connection.execute("INSERT INTO t VALUES (2)", ()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4));
    let error = transaction.execute("INSERT INTO t VALUES (3)", ()).await.unwrap_err().to_string();
    assert!(error.contains("TRANSACTION_TIMEOUT"), "{error}");
    assert!(error.contains("Transaction timed-out"), "{error}");
    assert_eq!(started.number("SELECT sum(a) FROM t").await, 2);
}

#[tokio::test]
async fn a_commit_after_the_lock_was_stolen_is_told() {
    let started = start_with(|settings| settings.lock_timeout = SHORT).await;
    let connection = started.connect().await;
    connection.execute("CREATE TABLE t (a)", ()).await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", ()).await.unwrap();
    connection.execute("INSERT INTO t VALUES (2)", ()).await.unwrap();
    let error = transaction.commit().await.unwrap_err().to_string();
    assert!(error.contains("TRANSACTION_TIMEOUT"), "{error}");
    assert_eq!(started.number("SELECT sum(a) FROM t").await, 2);
}

#[tokio::test]
async fn a_writer_that_waits_for_too_long_is_told_that_the_database_is_busy() {
    let started = start_with(|settings| settings.busy_timeout = SHORT).await;
    let connection = started.connect().await;
    connection.execute("CREATE TABLE t (a)", ()).await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", ()).await.unwrap();
    let began = Instant::now();
    let error = connection.execute("INSERT INTO t VALUES (2)", ()).await.unwrap_err().to_string();
    assert!(began.elapsed() >= SHORT);
    assert!(error.contains("SQLITE_BUSY") && error.contains("database is locked"), "{error}");
    transaction.commit().await.unwrap();
    connection.execute("INSERT INTO t VALUES (2)", ()).await.unwrap();
    assert_eq!(started.number("SELECT sum(a) FROM t").await, 3);
}

#[tokio::test]
async fn a_writer_waits_until_the_lock_is_free() {
    let (started, connection) = start_with_table().await;
    let transaction = connection.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1, 1)", ()).await.unwrap();
    let commit = async {
        tokio::time::sleep(SHORT).await;
        transaction.commit().await.unwrap();
    };
    let (written, ()) = tokio::join!(connection.execute("INSERT INTO t VALUES (2, 2)", ()), commit);
    assert_eq!(written.unwrap(), 1);
    assert_eq!(started.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn a_read_transaction_cannot_write_over_what_it_did_not_see() {
    let started = start_with(|settings| settings.busy_timeout = SHORT * 5).await;
    let connection = started.connect().await;
    connection.execute("CREATE TABLE t (a, b)", ()).await.unwrap();
    let begun = started.on(None, "BEGIN").await.baton();
    let read = started.on(Some(&begun), "SELECT count(*) FROM t").await.baton();
    connection.execute("INSERT INTO t VALUES (1, 1)", ()).await.unwrap();
    let answer = started.on(Some(&read), "INSERT INTO t VALUES (2, 2)").await;
    assert_eq!(answer.error_code(), "SQLITE_BUSY_SNAPSHOT");
    // It does not keep the lock that it could not use.
    connection.execute("INSERT INTO t VALUES (3, 3)", ()).await.unwrap();
}

#[tokio::test]
async fn many_writers_at_once_all_get_their_turn() {
    let (started, _connection) = start_with_table().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let connection = started.connect().await;
        writers.spawn(async move {
            for number in 0..25 {
                let sql = "INSERT INTO t VALUES (?1, 0)";
                connection.execute(sql, [writer * 1_000 + number]).await.unwrap();
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(started.number("SELECT count(*) FROM t").await, 400);
}
