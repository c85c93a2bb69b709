use std::time::Duration;

use crate::pool::{ADMIN, Pool};

/// A new token of the consumer, by a body as it is sent.
async fn issue(pool: &Pool, id: &str, body: &str) -> String {
    let issued = pool.post(&format!("/admin/consumers/{id}/token"), body).await;
    assert_eq!(issued.status, 201, "{}", issued.text);
    assert_eq!(issued.members(), ["id", "name", "token"]);
    let issued = issued.json();
    assert_eq!((&issued["id"], &issued["name"]), (&id.into(), &"c".into()));
    issued["token"].as_str().unwrap().to_owned()
}

/// Promise 5: from the answer on.
#[tokio::test]
async fn ends_the_old_token_at_once_where_no_overlap_is_asked_for() {
    let pool = Pool::with_tier().await;
    let (id, mut token) = pool.add_consumer("c", &["t"]).await;
    for body in ["", "{}", r#"{"overlap_seconds":null}"#, r#"{"overlap_seconds":0}"#] {
        let next = issue(&pool, &id, body).await;
        assert!(next.starts_with("kp_") && next.len() == 52 && next != token, "{next}");
        pool.draw(&token, "f").await.expect_problem(401, "unauthorized");
        pool.draw(&next, "f").await.expect_problem(429, "no_usable_key");
        assert_eq!(
            pool.get("/admin/consumers").await.json()[0]["old_token_until"],
            serde_json::Value::Null
        );
        token = next;
    }
    let blank = pool.post(&format!("/admin/consumers/{id}/token"), " \r\n").await;
    blank.expect_problem(400, "malformed_request");
}

#[tokio::test]
async fn lets_the_old_token_work_for_the_overlap() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (id, old) = pool.add_consumer("c", &["t"]).await;
    pool.clock.advance(Duration::from_millis(1_500));
    let new = issue(&pool, &id, r#"{"overlap_seconds":5}"#).await;
    let listed = pool.get("/admin/consumers").await.json();
    assert_eq!(listed[0]["token_issued_at"], "2026-11-23T16:00:01.500Z");
    assert_eq!(listed[0]["old_token_until"], "2026-11-23T16:00:06.500Z");
    for token in [&old, &new] {
        assert_eq!(pool.draw(token, "f").await.status, 200);
    }
    pool.clock.advance(Duration::from_millis(4_999));
    assert_eq!(pool.draw(&old, "g").await.status, 200);
    pool.clock.advance(Duration::from_millis(1));
    let refused = pool.draw(&old, "g").await;
    refused.expect_problem(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(pool.draw(&new, "g").await.status, 200);
}

#[tokio::test]
async fn does_not_know_every_consumer() {
    let pool = Pool::new().await;
    for id in ["admin", "nobody"] {
        let refused = pool.post(&format!("/admin/consumers/{id}/token"), "").await;
        refused.expect_problem(404, "unknown_consumer");
    }
    pool.post("/admin/consumers/%zz/token", "").await.expect_problem(400, "malformed_request");
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid_and_changes_nothing() {
    let pool = Pool::with_tier().await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    let path = format!("/admin/consumers/{id}/token");
    for (body, field) in [
        (r#"{"overlap_seconds":-1}"#, "overlap_seconds"),
        (r#"{"overlap_seconds":31622401}"#, "overlap_seconds"),
        (r#"{"overlap_seconds":1.5}"#, "overlap_seconds"),
        (r#"{"overlap_seconds":"60"}"#, "overlap_seconds"),
        (r#"{"overlap":60}"#, "overlap"),
        (r#"{"token":"mine"}"#, "token"),
    ] {
        pool.post(&path, body).await.expect_invalid(field);
    }
    for body in ["[]", "null", "60", "{", "\u{a0}"] {
        pool.post(&path, body).await.expect_problem(400, "malformed_request");
    }
    pool.draw(&token, "f").await.expect_problem(429, "no_usable_key");
}

/// Promise 8.
#[tokio::test]
async fn no_list_shows_a_token() {
    let pool = Pool::with_tier().await;
    let (id, old) = pool.add_consumer("c", &["t"]).await;
    let new = issue(&pool, &id, r#"{"overlap_seconds":60}"#).await;
    for path in ["/admin/consumers", "/admin/changes", "/admin/usage", "/admin/health"] {
        let shown = pool.get(path).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.text.contains(&old) && !shown.text.contains(&new), "{path}");
    }
}

/// A mistyped token of ours is refused without a look at what other servers may have; every other unknown one is not.
#[tokio::test]
async fn a_mistyped_token_is_refused_early() {
    let pool = Pool::with_tier().await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    let mut mistyped = token.clone();
    let last = mistyped.pop();
    mistyped.push(if last == Some('0') { '1' } else { '0' });
    let original = "9c9102b940509626cc78140767b3dffe3f76b46cac651bd367dacec91a8b6069";
    for unknown in [mistyped.as_str(), original] {
        pool.draw(unknown, "f").await.expect_problem(401, "unauthorized");
    }
    // A pool that is closed cannot be asked any more.
    pool.engine.close().await;
    pool.draw(&mistyped, "f").await.expect_problem(401, "unauthorized");
    pool.draw(original, "f").await.expect_problem(503, "store_unavailable");
    pool.draw(ADMIN, "f").await.expect_problem(503, "store_unavailable");
}
