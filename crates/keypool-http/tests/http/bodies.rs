//! How bodies are taken in: their size, their pace, their end. None hangs or grows memory (promise 9).

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use keypool_http::{App, HttpSettings};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::pool::Step::{BreakOff, Hang, Panic, Send};
use crate::pool::{ADMIN, Answer, Pool, Scripted, request};

const MIB: usize = 1024 * 1024;

async fn post(pool: &Pool, path: &str, body: Scripted) -> Answer {
    pool.call(request(Method::POST, path, ADMIN, body)).await
}

/// A consumer whose description makes the body this long.
fn consumer(length: usize) -> String {
    let around = r#"{"name":"c","description":""}"#.len();
    json!({ "name": "c", "description": "x".repeat(length - around) }).to_string()
}

#[tokio::test]
async fn a_body_may_have_two_mebibytes() {
    let pool = Pool::new().await;
    let most = consumer(2 * MIB);
    assert_eq!(most.len(), 2 * MIB);
    assert_ne!(pool.post("/admin/consumers", &most).await.status, 413);
    let pool = Pool::new().await;
    let refused = pool.post("/admin/consumers", &consumer(2 * MIB + 1)).await;
    refused.expect_problem(413, "body_too_large");
    let key = format!(r#" {{"name":"{}"}}"#, "x".repeat(2 * MIB));
    pool.post("/admin/keys", &key).await.expect_problem(413, "body_too_large");
    let array = format!("[{}]", "1,".repeat(MIB));
    pool.post("/admin/tiers", &array).await.expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn an_array_of_keys_may_have_thirty_two() {
    let pool = Pool::with_tier().await;
    let key = |i: usize| json!({ "name": i.to_string(), "key": "v".repeat(16_000), "tier": "t" });
    let keys: Vec<_> = (0..2000).map(key).collect();
    let array = format!("\n {}", json!(keys));
    assert!(array.len() > 30 * MIB && array.len() < 32 * MIB);
    assert_eq!(pool.post("/admin/keys", &array).await.status, 201);
    let array = format!("[{array}, {array}]");
    pool.post("/admin/keys", &array).await.expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_without_a_declared_length_is_counted() {
    let pool = Pool::new().await;
    let chunks = (0..33).map(|_| Send(Bytes::from(vec![b' '; 65_536])));
    post(&pool, "/admin/consumers", Scripted::new(chunks))
        .await
        .expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_may_come_in_pieces() {
    let pool = Pool::new().await;
    let pieces = br#"{"name":"c"}"#.chunks(1).map(|piece| Send(Bytes::from_static(piece)));
    assert_eq!(post(&pool, "/admin/consumers", Scripted::new(pieces)).await.status, 201);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed_and_ends_the_connection() {
    let pool = Pool::new().await;
    let body = Scripted::new([Send(Bytes::from_static(b"{\"name\":")), BreakOff]);
    let refused = post(&pool, "/admin/consumers", body).await;
    refused.expect_problem(400, "malformed_request");
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(pool.get("/admin/consumers").await.text, "[]");
}

#[tokio::test]
async fn a_body_that_stays_away_is_408() {
    let pool = Pool::new().await;
    tokio::time::pause();
    let body = Scripted::new([Send(Bytes::from_static(b"{\"name\":\"c\"")), Hang]);
    let refused = post(&pool, "/admin/consumers", body).await;
    refused.expect_problem(408, "body_timeout");
    assert_eq!(refused.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_body_on_get_is_ignored_but_not_without_end() {
    let pool = Pool::new().await;
    let get = |body| request(Method::GET, "/admin/keys", ADMIN, body);
    let chunk = || Send(Bytes::from(vec![0_u8; 32 * 1024]));
    let small = pool.call(get(Scripted::new([chunk(), chunk()]))).await;
    assert_eq!((small.status, small.header("connection")), (200, None));
    let large = pool.call(get(Scripted::new([chunk(), chunk(), chunk()]))).await;
    assert_eq!((large.status, large.header("connection")), (200, Some("close")));
    tokio::time::pause();
    let hanging = pool.call(get(Scripted::new([Hang]))).await;
    assert_eq!((hanging.status, hanging.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn a_body_that_nobody_needs_is_not_waited_for() {
    let pool = Pool::new().await;
    tokio::time::pause();
    let (short, second) = (Duration::from_millis(200), Duration::from_secs(1));
    let limits = [(None, second), (Some(30 * second), second), (Some(short), short)];
    let cases = [
        (Method::GET, "/nope", ADMIN, 5, 404),
        (Method::PUT, "/admin/keys", ADMIN, 5, 405),
        (Method::POST, "/admin/keys", "nobody", 5, 401),
        (Method::POST, "/admin/consumers", ADMIN, 3 << 20, 413),
        (Method::GET, "/admin/keys", ADMIN, 5, 200),
        (Method::GET, "/health", "", 5, 200),
    ];
    for (read_timeout, most) in limits {
        let settings = HttpSettings { read_timeout, ..HttpSettings::default() };
        let app = App::new(pool.engine.clone(), &settings);
        for (method, path, token, length, status) in cases.clone() {
            let asked = request(method, path, token, Scripted::new([Hang]).declared(length));
            let started = Instant::now();
            let answer = timeout(60 * second, keypool_http::answer(&app, asked, None)).await;
            let took = started.elapsed();
            let answer = Answer::of(answer.expect("it is answered")).await;
            assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
            assert!(took <= most + Duration::from_millis(5), "{path} {read_timeout:?}: {took:?}");
        }
    }
}

#[tokio::test]
async fn content_types_do_not_matter() {
    let pool = Pool::new().await;
    for (name, kind) in [("a", ""), ("b", "text/plain"), ("c", "application/x-www-form-urlencoded")]
    {
        let body = Full::new(Bytes::from(format!(r#"{{"name":"{name}"}}"#)));
        let mut asked = request(Method::POST, "/admin/consumers", ADMIN, body);
        asked.headers_mut().insert("content-type", kind.parse().unwrap());
        assert_eq!(pool.call(asked).await.status, 201);
    }
}

#[tokio::test]
async fn a_body_that_is_held_back_is_not_asked_for_in_vain() {
    let pool = Pool::new().await;
    for (token, status) in [(ADMIN, 413), ("nobody", 401)] {
        let body = Scripted::new([Panic]).declared(3 << 20);
        let mut asked = request(Method::POST, "/admin/consumers", token, body);
        asked.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let refused = pool.call(asked).await;
        assert_eq!((refused.status, refused.header("connection")), (status, Some("close")));
    }
}

/// Promises 8 and 9: the answer says nothing of the panic, and the server goes on.
#[tokio::test]
async fn a_panic_is_a_500_for_that_request_alone() {
    let pool = Pool::new().await;
    let failed = post(&pool, "/admin/consumers", Scripted::new([Panic])).await;
    failed.expect_problem(500, "internal_error");
    assert_eq!(failed.header("connection"), Some("close"));
    assert_eq!(failed.header("x-request-id").map(str::len), Some(36));
    assert!(!failed.text.contains("a bug in a test"));
    assert_eq!(pool.get("/health").await.status, 200);
}
