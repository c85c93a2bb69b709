//! Each fault as a client sees it.

use std::time::{Duration, Instant};

use keypool_test_server::{Fault, When};

use crate::client::{eventually, number, start_with_table};

const SHORT: Duration = Duration::from_millis(80);
const INSERT: &str = "INSERT INTO t (b) VALUES ('x')";
const COUNT: &str = "SELECT count(*) FROM t";

#[tokio::test]
async fn a_refused_request_is_not_acted_on() {
    let (started, connection) = start_with_table().await;
    let injected = started.server.faults().inject(Fault::Refuse, When::once());
    let error = connection.execute(INSERT, ()).await.unwrap_err().to_string();
    assert!(error.contains("http error"), "{error}");
    assert_eq!(injected.hits(), 1);
    assert_eq!(started.number(COUNT).await, 0);
}

#[tokio::test]
async fn a_dropped_answer_hides_a_commit() {
    let (started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::DropAnswer, When::once());
    assert!(connection.execute(INSERT, ()).await.is_err());
    assert_eq!(started.number(COUNT).await, 1);
}

#[tokio::test]
async fn a_late_act_comes_after_the_connection_is_closed() {
    let (started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::ActLate(SHORT * 6), When::once());
    let began = Instant::now();
    assert!(connection.execute(INSERT, ()).await.is_err());
    assert!(began.elapsed() < SHORT * 6);
    assert_eq!(started.number(COUNT).await, 0);
    eventually("the late act", async || started.number(COUNT).await == 1).await;
}

#[tokio::test]
async fn a_delay_before_acts_although_the_client_has_left() {
    let (started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::DelayBefore(SHORT * 6), When::once());
    let insert = connection.execute(INSERT, ());
    assert!(tokio::time::timeout(SHORT, insert).await.is_err());
    assert_eq!(started.number(COUNT).await, 0);
    eventually("the late act", async || started.number(COUNT).await == 1).await;
}

#[tokio::test]
async fn a_delay_after_has_acted_already() {
    let (started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::DelayAfter(SHORT * 6), When::once().matching("INSERT"));
    let began = Instant::now();
    let insert = connection.execute(INSERT, ());
    let watch = eventually("the act", async || started.number(COUNT).await == 1);
    let seen = async {
        watch.await;
        began.elapsed()
    };
    let (inserted, seen) = tokio::join!(insert, seen);
    inserted.unwrap();
    assert!(began.elapsed() >= SHORT * 6);
    assert!(seen < SHORT * 6, "{seen:?}");
}

#[tokio::test]
async fn a_repeated_request_is_acted_on_twice() {
    let (started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::Repeat, When::times(2));
    connection.execute(INSERT, ()).await.unwrap();
    assert_eq!(connection.last_insert_rowid(), 2);
    let error = connection.execute("INSERT INTO t VALUES (9, 9)", ()).await.unwrap_err();
    assert!(error.to_string().contains("SQLITE_CONSTRAINT_PRIMARYKEY"), "{error}");
    assert_eq!(started.number(COUNT).await, 3);
}

#[tokio::test]
async fn streams_expire_when_they_are_told_to() {
    let (started, connection) = start_with_table().await;
    let faults = started.server.faults();
    let transaction = connection.transaction().await.unwrap();
    transaction.execute(INSERT, ()).await.unwrap();
    faults.expire_streams();
    let error = transaction.commit().await.unwrap_err().to_string();
    assert!(error.contains("STREAM_EXPIRED"), "{error}");

    let transaction = connection.transaction().await.unwrap();
    faults.inject(Fault::ExpireStreams, When::once().matching("INSERT"));
    let error = transaction.execute(INSERT, ()).await.unwrap_err().to_string();
    assert!(error.contains("STREAM_EXPIRED"), "{error}");
    assert_eq!(started.number(COUNT).await, 0);
}

#[tokio::test]
async fn locks_are_stolen_when_they_are_told_to() {
    let (started, connection) = start_with_table().await;
    let faults = started.server.faults();
    let transaction = connection.transaction().await.unwrap();
    transaction.execute(INSERT, ()).await.unwrap();
    faults.steal_locks();
    let error = transaction.execute(INSERT, ()).await.unwrap_err().to_string();
    assert!(error.contains("TRANSACTION_TIMEOUT"), "{error}");

    let transaction = connection.transaction().await.unwrap();
    transaction.execute(INSERT, ()).await.unwrap();
    faults.inject(Fault::StealLocks, When::once().matching("COMMIT"));
    let error = transaction.commit().await.unwrap_err().to_string();
    assert!(error.contains("TRANSACTION_TIMEOUT"), "{error}");
    assert_eq!(started.number(COUNT).await, 0);
}

#[tokio::test]
async fn too_many_requests_is_answered_without_acting() {
    let (started, connection) = start_with_table().await;
    started.server.faults().inject(Fault::TooManyRequests, When::once());
    let error = connection.execute(INSERT, ()).await.unwrap_err().to_string();
    assert!(error.contains("status=429"), "{error}");
    assert_eq!(started.number(COUNT).await, 0);
}

/// Raw, since the libsql crate panics on a body that is not UTF-8.
#[tokio::test]
async fn a_bad_gateway_has_a_body_that_is_not_utf8() {
    let (started, _connection) = start_with_table().await;
    started.server.faults().inject(Fault::BadGateway, When::once());
    let answer = started.on(None, INSERT).await;
    assert_eq!(answer.status, 502);
    assert!(String::from_utf8(answer.body).is_err());
    assert_eq!(started.number(COUNT).await, 0);
}

#[tokio::test]
async fn truncated_json_hides_a_commit() {
    let (started, connection) = start_with_table().await;
    let faults = started.server.faults();
    faults.inject(Fault::TruncatedJson, When::times(2));
    let error = connection.execute(INSERT, ()).await.unwrap_err().to_string();
    assert!(error.contains("json error"), "{error}");
    let answer = started.on(None, INSERT).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
    assert_eq!(started.number(COUNT).await, 2);
}

#[tokio::test]
async fn a_truncated_cursor_ends_at_a_line() {
    let (started, _connection) = start_with_table().await;
    let faults = started.server.faults();
    let body = r#"{"batch":{"steps":[{"stmt":{"sql":"SELECT 1 UNION ALL SELECT 2"}}]}}"#;
    let whole = started.cursor(body).await.text();
    faults.inject(Fault::TruncatedCursor, When::once().matching("UNION"));
    let cut = started.cursor(body).await.text();
    assert_eq!(whole.lines().count(), 5);
    assert_eq!(cut.lines().count(), 3);
    assert!(cut.ends_with('\n'));

    // The libsql crate takes the rows that came for all.
    let connection = started.connect().await;
    faults.inject(Fault::TruncatedCursor, When::once().matching("batch\":"));
    let mut rows = connection.query("SELECT 1 UNION ALL SELECT 2", ()).await.unwrap();
    let mut count = 0;
    while let Ok(Some(_)) = rows.next().await {
        count += 1;
    }
    assert_eq!(count, 1);
}

#[tokio::test]
async fn what_hangs_is_let_go_when_the_faults_are_cleared() {
    let (started, connection) = start_with_table().await;
    let faults = started.server.faults();
    faults.inject(Fault::Hang, When::always().matching("INSERT"));
    let mut insert = std::pin::pin!(connection.execute(INSERT, ()));
    assert!(tokio::time::timeout(SHORT, &mut insert).await.is_err());
    assert_eq!(started.number(COUNT).await, 0);
    faults.clear();
    assert!(insert.await.is_err());
    connection.execute(INSERT, ()).await.unwrap();
    assert_eq!(started.number(COUNT).await, 1);
}

#[tokio::test]
async fn a_fault_strikes_what_it_is_told_to() {
    let (started, connection) = start_with_table().await;
    let faults = started.server.faults();
    let when = When::times(2).matching("VALUES ('x')").after(1);
    let injected = faults.inject(Fault::Refuse, when);
    let counted = faults.inject(Fault::Nothing, When::always().matching("INSERT"));
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        connection.execute("INSERT INTO t (b) VALUES ('other')", ()).await.unwrap();
        outcomes.push(connection.execute(INSERT, ()).await.is_ok());
    }
    assert_eq!(outcomes, [true, false, false, true]);
    assert_eq!(injected.hits(), 2);
    assert_eq!(counted.hits(), 8);
    counted.remove();
    connection.execute(INSERT, ()).await.unwrap();
    assert_eq!(counted.hits(), 8);
}

#[tokio::test]
async fn faults_add_up() {
    let (started, connection) = start_with_table().await;
    let faults = started.server.faults();
    faults.inject(Fault::DelayBefore(SHORT), When::once());
    faults.inject(Fault::DropAnswer, When::once());
    let began = Instant::now();
    assert!(connection.execute(INSERT, ()).await.is_err());
    assert!(began.elapsed() >= SHORT);
    assert_eq!(started.number(COUNT).await, 1);
}

#[tokio::test]
async fn latency_is_for_all_but_does_not_queue() {
    let (started, _connection) = start_with_table().await;
    started.server.faults().set_latency(SHORT);
    let mut clients = tokio::task::JoinSet::new();
    let began = Instant::now();
    for _ in 0..30 {
        let connection = started.connect().await;
        clients.spawn(async move { connection.execute(INSERT, ()).await.unwrap() });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let lasted = began.elapsed();
    assert!(lasted >= SHORT, "{lasted:?}");
    assert!(lasted < SHORT * 15, "{lasted:?}");
    started.server.faults().set_latency(Duration::ZERO);
    assert_eq!(number(&started.connect().await, COUNT).await, 30);
}
