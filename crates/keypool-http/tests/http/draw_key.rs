use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::pool::{ADMIN, Pool};

#[tokio::test]
async fn gives_the_key_with_its_metadata_and_secrets() {
    let pool = Pool::with_tier().await;
    let metadata = r#"{"z": 123456789012345678901234567890, "a": [1.0, "\u00e9"]}"#;
    let more = format!(r#","metadata":{metadata},"secrets":{{"webhook":"w\"\n","also":"é"}}"#);
    let id = pool.add_key("k", &more).await;
    let drawn = pool.draw(ADMIN, "f").await;
    assert_eq!(drawn.status, 200, "{}", drawn.text);
    assert_eq!(drawn.members(), ["key_id", "value", "metadata", "secrets", "draw_id"]);
    assert!(drawn.text.contains(metadata), "as it went in: {}", drawn.text);
    let grant = drawn.json();
    assert_eq!(grant["key_id"], id);
    assert_eq!(grant["value"], "value of k");
    assert_eq!(grant["secrets"], json!({ "webhook": "w\"\n", "also": "é" }));
    let events = pool.get("/admin/usage").await.json();
    assert_eq!(events[0]["draw_id"], grant["draw_id"], "it is on record");
}

#[tokio::test]
async fn has_empty_objects_where_there_is_nothing() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let drawn = pool.draw(ADMIN, "f").await;
    assert!(drawn.text.contains(r#""metadata":{},"secrets":{}"#), "{}", drawn.text);
}

#[tokio::test]
async fn serves_a_consumer_from_its_scope() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    assert_eq!(pool.draw(&token, "f").await.status, 200);
}

/// Promise 9.
#[tokio::test]
async fn wants_one_proper_feature() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let long = format!("/key?feature={}", "x".repeat(129));
    let bad = [
        "/key",
        "/key?feature",
        "/key?feature=",
        "/key?feature=a%20b",
        "/key?feature=%C3%A9",
        "/key?feature=%zz",
        "/key?feature=%ff",
        "/key?feature=f&feature=f",
        "/key?Feature=f",
        &long,
    ];
    for path in bad {
        pool.get(path).await.expect_invalid("feature");
    }
    assert_eq!(pool.get("/key?feature=f").await.status, 200, "nothing was used up");
}

#[tokio::test]
async fn passes_over_what_it_does_not_know() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    assert_eq!(pool.get("/key?a=%zz&a=1&feature=%66&x").await.status, 200);
    assert_eq!(pool.send(Method::GET, "/key?feature=f", ADMIN, "not JSON").await.status, 200);
}

#[tokio::test]
async fn refuses_unknown_tokens() {
    let pool = Pool::with_tier().await;
    for token in ["", "nobody", "kp_0000"] {
        let refused = pool.draw(token, "f").await;
        refused.expect_problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
}

/// Promise 5.
#[tokio::test]
async fn refuses_the_token_of_a_consumer_that_is_gone() {
    let pool = Pool::with_tier().await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    assert_eq!(pool.delete(&format!("/admin/consumers/{id}")).await.status, 200);
    pool.draw(&token, "f").await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn tells_a_consumer_out_of_scope_and_the_admin_unknown_feature() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (_, token) = pool.add_consumer("c", &[]).await;
    for feature in ["f", "unheard-of"] {
        pool.draw(&token, feature).await.expect_problem(403, "out_of_scope");
    }
    pool.draw(ADMIN, "unheard-of").await.expect_problem(404, "unknown_feature");
}

/// Promise 7.
#[tokio::test]
async fn says_when_a_rate_limit_ends() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    for _ in 0..2 {
        assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    }
    pool.clock.advance(Duration::from_millis(500));
    let refused = pool.draw(ADMIN, "f").await;
    let problem = refused.expect_problem(429, "rate_limited");
    assert_eq!(problem["retry_after_seconds"], 60, "59.5 s, rounded up");
    assert_eq!(refused.header("retry-after"), Some("60"));
    pool.clock.advance(Duration::from_secs(60));
    assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
}

/// Promise 7.
#[tokio::test]
async fn says_when_a_budget_comes_back() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", r#","usage_limit":1,"usage_window_seconds":3600"#).await;
    assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    let refused = pool.draw(ADMIN, "g").await;
    assert_eq!(refused.expect_problem(429, "budget_spent")["retry_after_seconds"], 3600);
    assert_eq!(refused.header("retry-after"), Some("3600"));
}

/// Promise 7.
#[tokio::test]
async fn names_no_time_where_time_does_not_heal() {
    let pool = Pool::with_tier().await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    for token in [ADMIN, &token] {
        let refused = pool.draw(token, "f").await;
        let problem = refused.expect_problem(429, "no_usable_key");
        assert_eq!(problem.get("retry_after_seconds"), None);
        assert_eq!(refused.header("retry-after"), None);
    }
}

/// Promise 2.
#[tokio::test]
async fn answers_503_once_nothing_can_be_recorded() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    pool.engine.close().await;
    let failed = pool.draw(ADMIN, "f").await;
    failed.expect_problem(503, "store_unavailable");
    assert_eq!(failed.header("retry-after"), Some("1"));
    assert!(!failed.text.contains("value of k"));
}

#[tokio::test]
async fn is_not_for_head() {
    let pool = Pool::with_tier().await;
    let refused = pool.send(Method::HEAD, "/key?feature=f", ADMIN, "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET")));
    assert_eq!(refused.text, "");
}
