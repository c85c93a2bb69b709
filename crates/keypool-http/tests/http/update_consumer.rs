use std::time::Duration;

use serde_json::{Value, json};

use crate::pool::Pool;

#[tokio::test]
async fn replaces_what_is_given_and_keeps_the_rest() {
    let pool = Pool::with_tier().await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    let path = format!("/admin/consumers/{id}");
    let steps = [
        (r#"{"name":"d"}"#, "name", json!("d")),
        (r#"{"description":"runs"}"#, "description", json!("runs")),
        (r#"{"is_active":false}"#, "is_active", json!(false)),
        (r#"{"is_active":true}"#, "is_active", json!(true)),
        (
            r#"{"expires_at":"2026-11-23T17:00:00.25+01:00"}"#,
            "expires_at",
            json!("2026-11-23T16:00:00.250Z"),
        ),
        (r#"{"expires_at":null}"#, "expires_at", Value::Null),
    ];
    let mut expected = pool.get("/admin/consumers").await.json()[0].clone();
    for (body, member, value) in steps {
        let changed = pool.patch(&path, body).await;
        assert_eq!(changed.status, 200, "{body}: {}", changed.text);
        expected[member] = value;
        assert_eq!(changed.json(), expected, "{body}");
        assert_eq!(pool.get("/admin/consumers").await.json(), json!([expected]), "{body}");
    }
    pool.draw(&token, "f").await.expect_problem(429, "no_usable_key");
}

/// Promise 5: from the answer on, and whoever is nobody is so on every path.
#[tokio::test]
async fn a_deactivated_consumer_is_401() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    let path = format!("/admin/consumers/{id}");
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    assert_eq!(pool.patch(&path, r#"{"is_active":false}"#).await.status, 200);
    let refused = pool.draw(&token, "f").await;
    refused.expect_problem(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let elsewhere = pool.send(http::Method::GET, "/admin/keys", &token, "").await;
    elsewhere.expect_problem(401, "unauthorized");
    assert_eq!(pool.patch(&path, r#"{"is_active":true}"#).await.status, 200);
    assert_eq!(pool.draw(&token, "f").await.status, 200);
}

#[tokio::test]
async fn an_expired_consumer_is_401_from_the_millisecond_on() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    let path = format!("/admin/consumers/{id}");
    let body = r#"{"expires_at":"2026-11-23T16:00:00.010Z"}"#;
    assert_eq!(pool.patch(&path, body).await.status, 200);
    pool.clock.advance(Duration::from_millis(9));
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    pool.clock.advance(Duration::from_millis(1));
    pool.draw(&token, "f").await.expect_problem(401, "unauthorized");
    assert_eq!(pool.patch(&path, r#"{"expires_at":null}"#).await.status, 200);
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    let past = r#"{"expires_at":"2020-01-01T00:00:00Z"}"#;
    assert_eq!(pool.patch(&path, past).await.status, 200, "it ends at once");
    pool.draw(&token, "f").await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn takes_no_name_that_another_consumer_has() {
    let pool = Pool::new().await;
    let (id, _) = pool.add_consumer("c", &[]).await;
    pool.add_consumer("d", &[]).await;
    let path = format!("/admin/consumers/{id}");
    pool.patch(&path, r#"{"name":"d"}"#).await.expect_problem(409, "name_taken");
    assert_eq!(pool.patch(&path, r#"{"name":"c"}"#).await.status, 200, "its own is not taken");
    assert_eq!(pool.patch(&path, r#"{"name":"e"}"#).await.status, 200);
    pool.add_consumer("c", &[]).await;
}

#[tokio::test]
async fn does_not_know_every_consumer() {
    let pool = Pool::new().await;
    for id in ["admin", "nobody"] {
        let path = format!("/admin/consumers/{id}");
        let refused = pool.patch(&path, r#"{"is_active":false}"#).await;
        refused.expect_problem(404, "unknown_consumer");
    }
    let unreadable = pool.patch("/admin/consumers/%zz", r#"{"is_active":false}"#).await;
    unreadable.expect_problem(400, "malformed_request");
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid_and_changes_nothing() {
    let pool = Pool::with_tier().await;
    let (id, _) = pool.add_consumer("c", &["t"]).await;
    let before = shown(&pool).await;
    let path = format!("/admin/consumers/{id}");
    let cases = [
        (r#"{"name":""}"#, "name"),
        (r#"{"name":7}"#, "name"),
        (r#"{"name":null}"#, "name"),
        (r#"{"name":null,"is_active":false}"#, "name"),
        (r#"{"description":[]}"#, "description"),
        (r#"{"description":null}"#, "description"),
        (r#"{"is_active":null}"#, "is_active"),
        (r#"{"is_active":"false"}"#, "is_active"),
        (r#"{"is_active":0}"#, "is_active"),
        (r#"{"expires_at":""}"#, "expires_at"),
        (r#"{"expires_at":"soon"}"#, "expires_at"),
        (r#"{"expires_at":1795450279}"#, "expires_at"),
        (r#"{"expires_at":null,"expires_at":null}"#, "expires_at"),
        (r#"{"scopes":["t"]}"#, "scopes"),
        (r#"{"token":"mine"}"#, "token"),
    ];
    for (body, field) in cases {
        pool.patch(&path, body).await.expect_invalid(field);
    }
    for body in ["", "{}"] {
        pool.patch(&path, body).await.expect_problem(400, "malformed_request");
    }
    assert_eq!(shown(&pool).await, before);
}

/// The consumers, and the record of changes.
async fn shown(pool: &Pool) -> [String; 2] {
    [pool.get("/admin/consumers").await.text, pool.get("/admin/changes").await.text]
}
