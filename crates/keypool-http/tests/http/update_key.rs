use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::pool::{ADMIN, Pool, members_of};

fn path(id: &str) -> String {
    format!("/admin/keys/{id}")
}

/// A pool with the tiers `t` and `u` and a key `k`; its id.
async fn with_key(more: &str) -> (Pool, String) {
    let pool = Pool::with_tier().await;
    let tier = r#"{"name":"u","features":{"h":{"rate_limit":9}}}"#;
    assert_eq!(pool.post("/admin/tiers", tier).await.status, 201);
    let id = pool.add_key("k", more).await;
    (pool, id)
}

/// The key after a change that must succeed.
async fn changed(pool: &Pool, id: &str, body: &str) -> Value {
    let answer = pool.patch(&path(id), body).await;
    assert_eq!(answer.status, 200, "{body}: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn changes_what_is_given_and_shows_the_key_as_the_list_does() {
    let (pool, id) =
        with_key(r#","metadata":{"a":1},"secrets":{"s":"hidden one","r":"hidden two"}"#).await;
    let before = pool.get(&path(&id)).await.json();
    let body = r#"{"name":"l","key":"hidden three","tier":"u","is_active":true,
        "expires_at":"2030-01-31T12:00:00+02:00","usage_limit":10,"usage_window_seconds":3600,"usage_count":4,
        "metadata":{ "b" : 12345678901234567890 },"secrets":{"s":"hidden four","r":null,"q":"hidden five"}}"#;
    let answer = pool.patch(&path(&id), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.text.contains("hidden"), "{}", answer.text);
    assert!(answer.text.contains(r#"{ "b" : 12345678901234567890 }"#), "{}", answer.text);
    assert_eq!(answer.text, pool.get(&path(&id)).await.text);
    let listed = pool.get("/admin/keys").await.text;
    assert_eq!(listed, format!("[{}]", answer.text));
    let mut expected = before;
    for (member, value) in [
        ("name", json!("l")),
        ("tier", json!("u")),
        ("tier_id", pool.get("/admin/tiers").await.json()[1]["id"].clone()),
        ("expires_at", json!("2030-01-31T10:00:00Z")),
        ("usage_limit", json!(10)),
        ("usage_window_seconds", json!(3600)),
        ("usage_count", json!(4)),
        ("usage_resets_at", json!("2026-11-23T17:00:00.000Z")),
        ("metadata", answer.json()["metadata"].clone()),
        ("secret_names", json!(["q", "s"])),
        ("usage", json!({ "h": { "used": 0, "limit": 9, "window_seconds": 60 } })),
    ] {
        expected[member] = value;
    }
    assert_eq!(answer.json(), expected);
    let drawn = pool.draw(ADMIN, "h").await.json();
    assert_eq!((&drawn["value"], &drawn["key_id"]), (&json!("hidden three"), &json!(id)));
    assert_eq!(drawn["secrets"], json!({ "q": "hidden five", "s": "hidden four" }));
}

#[tokio::test]
async fn each_member_may_come_alone() {
    let (pool, id) = with_key("").await;
    for (body, member, value) in [
        (r#"{"name":"l"}"#, "name", json!("l")),
        (r#"{"tier":"u"}"#, "tier", json!("u")),
        (r#"{"is_active":false}"#, "is_active", json!(false)),
        (r#"{"is_active":true}"#, "is_active", json!(true)),
        (r#"{"expires_at":"2026-11-23T15:00:00Z"}"#, "expires_at", json!("2026-11-23T15:00:00Z")),
        (r#"{"expires_at":null}"#, "expires_at", Value::Null),
        (r#"{"usage_count":7}"#, "usage_count", json!(7)),
        (r#"{"usage_limit":9}"#, "usage_count", json!(0)),
        (r#"{"usage_window_seconds":60}"#, "usage_window_seconds", json!(60)),
        (r#"{"usage_window_seconds":null}"#, "usage_window_seconds", Value::Null),
        (r#"{"usage_limit":8,"usage_window_seconds":60}"#, "usage_window_seconds", json!(60)),
        (r#"{"usage_limit":null}"#, "usage_limit", Value::Null),
        (r#"{"usage_limit":null}"#, "usage_window_seconds", Value::Null),
        (r#"{"metadata":{"x":1}}"#, "metadata", json!({ "x": 1 })),
        (r#"{"secrets":{"a":"v"}}"#, "secret_names", json!(["a"])),
        (r#"{"secrets":{}}"#, "secret_names", json!(["a"])),
        (r#"{"secrets":{"a":null,"b":null}}"#, "secret_names", json!([])),
    ] {
        assert_eq!(changed(&pool, &id, body).await[member], value, "{body}");
    }
    let tier = pool.get("/admin/tiers").await.json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(changed(&pool, &id, &format!(r#"{{"tier":"{tier}"}}"#)).await["tier"], "t");
}

/// Promise 5.
#[tokio::test]
async fn holds_for_the_next_draw() {
    let (pool, id) = with_key("").await;
    assert_eq!(pool.draw(ADMIN, "g").await.json()["value"], "value of k");
    changed(&pool, &id, r#"{"key":"rotated"}"#).await;
    assert_eq!(pool.draw(ADMIN, "g").await.json()["value"], "rotated");
    changed(&pool, &id, r#"{"is_active":false}"#).await;
    pool.draw(ADMIN, "g").await.expect_problem(429, "no_usable_key");
    changed(&pool, &id, r#"{"is_active":true,"expires_at":"2026-11-23T16:00:00Z"}"#).await;
    pool.draw(ADMIN, "g").await.expect_problem(429, "no_usable_key");
    let key = changed(
        &pool,
        &id,
        r#"{"expires_at":null,"usage_limit":2,"usage_count":2,"usage_window_seconds":60}"#,
    )
    .await;
    assert_eq!(
        (&key["usage_count"], &key["usage_resets_at"]),
        (&json!(2), &json!("2026-11-23T16:01:00.000Z"))
    );
    let spent = pool.draw(ADMIN, "g").await;
    spent.expect_problem(429, "budget_spent");
    assert_eq!(spent.header("retry-after"), Some("60"));
    changed(&pool, &id, r#"{"usage_limit":3}"#).await;
    assert_eq!(pool.draw(ADMIN, "g").await.status, 200);
    pool.clock.advance(Duration::from_secs(30));
    changed(&pool, &id, r#"{"usage_window_seconds":40}"#).await;
    let spent = pool.draw(ADMIN, "g").await;
    assert_eq!(spent.header("retry-after"), Some("10"), "the window under way started at 16:00");
    changed(&pool, &id, r#"{"usage_window_seconds":null}"#).await;
    pool.draw(ADMIN, "g").await.expect_problem(429, "no_usable_key");
    assert_eq!(changed(&pool, &id, r#"{"usage_limit":null}"#).await["usage_count"], 3);
    assert_eq!(pool.draw(ADMIN, "g").await.status, 200);
}

/// Promises 8 and 9.
#[tokio::test]
async fn names_what_is_invalid_repeats_no_secret_and_changes_nothing() {
    let (pool, id) = with_key(r#","usage_limit":5"#).await;
    let before = pool.get(&path(&id)).await.text;
    let long = format!(r#"{{"key":"{}sesame"}}"#, "x".repeat(16_384));
    let many = (0..65).map(|n| (n.to_string(), json!("sesame"))).collect();
    let many = json!({ "secrets": Value::Object(many) }).to_string();
    let cases = [
        (r#"{"key":"sesame","name":""}"#, "name"),
        (r#"{"key":"sesame","name":null}"#, "name"),
        (r#"{"key":null}"#, "key"),
        (r#"{"key":""}"#, "key"),
        (r#"{"key":["sesame"]}"#, "key"),
        (&long, "key"),
        (r#"{"tier":null}"#, "tier"),
        (r#"{"tier":1}"#, "tier"),
        (r#"{"is_active":null}"#, "is_active"),
        (r#"{"is_active":"true"}"#, "is_active"),
        (r#"{"is_active":1}"#, "is_active"),
        (r#"{"expires_at":""}"#, "expires_at"),
        (r#"{"expires_at":"tomorrow"}"#, "expires_at"),
        (r#"{"expires_at":1}"#, "expires_at"),
        (r#"{"usage_limit":0}"#, "usage_limit"),
        (r#"{"usage_limit":1000000000000001}"#, "usage_limit"),
        (r#"{"usage_limit":1.5}"#, "usage_limit"),
        (r#"{"usage_window_seconds":0}"#, "usage_window_seconds"),
        (r#"{"usage_window_seconds":316224001}"#, "usage_window_seconds"),
        (r#"{"usage_limit":null,"usage_window_seconds":60}"#, "usage_window_seconds"),
        (r#"{"usage_count":null}"#, "usage_count"),
        (r#"{"usage_count":-1}"#, "usage_count"),
        (r#"{"usage_count":1000000000000001}"#, "usage_count"),
        (r#"{"metadata":null}"#, "metadata"),
        (r#"{"metadata":[]}"#, "metadata"),
        (r#"{"metadata":{"a":1,"a":2}}"#, "metadata"),
        (r#"{"secrets":null}"#, "secrets"),
        (r#"{"secrets":{"":"sesame"}}"#, "secrets"),
        (r#"{"secrets":{"a":""}}"#, "secrets.a"),
        (r#"{"secrets":{"a":7}}"#, "secrets.a"),
        (r#"{"secrets":{"a":"sesame","a":"sesame"}}"#, "secrets.a"),
        (&many, "secrets"),
        (r#"{"name":"l","id":"x"}"#, "id"),
        (r#"{"name":"l","created_at":"2030-01-31T10:00:00Z"}"#, "created_at"),
        (r#"{"name":"l","name":"l"}"#, "name"),
    ];
    for (body, field) in cases {
        let refused = pool.patch(&path(&id), body).await;
        refused.expect_invalid(field);
        assert!(!refused.text.contains("sesame"), "{body}: {}", refused.text);
    }
    for body in ["", "{}", "[]", "[{}]", "null", "{", r#"{"name":"l"} {}"#, "\u{feff}{}"] {
        let refused = pool.patch(&path(&id), body).await;
        refused.expect_problem(400, "malformed_request");
    }
    assert_eq!(pool.get(&path(&id)).await.text, before);
    let kinds = pool.get("/admin/changes").await.json();
    assert!(kinds.as_array().unwrap().iter().all(|change| change["what"] != "update_key"));
}

#[tokio::test]
async fn does_not_know_every_key_and_tier() {
    let (pool, id) = with_key("").await;
    pool.patch(&path("nobody"), r#"{"name":"l"}"#).await.expect_problem(404, "unknown_key");
    pool.patch(&path(&id), r#"{"tier":"v"}"#).await.expect_problem(404, "unknown_tier");
    assert_eq!(pool.delete(&path(&id)).await.status, 200);
    pool.patch(&path(&id), r#"{"name":"l"}"#).await.expect_problem(404, "unknown_key");
    pool.patch(&path("nobody"), r#"{"name":""}"#).await.expect_invalid("name");
}

#[tokio::test]
async fn a_body_of_more_than_2_mib_is_too_large() {
    let (pool, id) = with_key("").await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    pool.patch(&path(&id), &body).await.expect_problem(413, "body_too_large");
    let other = pool.send(Method::PATCH, &path(&id), "", r#"{"name":"l"}"#).await;
    other.expect_problem(401, "unauthorized");
}

/// Promise 8.
#[tokio::test]
async fn is_on_record_with_what_differs_and_names_of_secrets_alone() {
    let (pool, id) = with_key(
        r#","usage_limit":5,"metadata":{"a":1},"secrets":{"s":"hidden 1","r":"hidden 2"}"#,
    )
    .await;
    pool.draw(ADMIN, "f").await;
    for body in [
        r#"{"name":"l","key":"hidden 3","tier":"t","usage_limit":5,"metadata":{"a":2}}"#,
        r#"{"secrets":{"s":"hidden 4","q":"hidden 5","r":null,"nobody":null}}"#,
        r#"{"usage_count":4,"is_active":false}"#,
        r#"{"usage_limit":null,"expires_at":"2030-01-31T10:00:00.25Z"}"#,
        r#"{"usage_limit":6,"usage_window_seconds":60}"#,
        r#"{"name":"l"}"#,
    ] {
        changed(&pool, &id, body).await;
    }
    let listed = pool.get("/admin/changes?limit=6").await;
    assert!(!listed.text.contains("hidden"), "{}", listed.text);
    let mut found = listed.json().as_array().unwrap().clone();
    found.reverse();
    let expected = [
        json!([{ "name": "k", "metadata": { "a": 1 } },
            { "name": "l", "metadata": { "a": 2 }, "key": "rotated" }]),
        json!([{ "secret_names": ["r", "s"] },
            { "secret_names": ["q", "s"], "secrets": { "q": "set", "r": "removed", "s": "set" } }]),
        json!([{ "is_active": true, "usage_count": 1 }, { "is_active": false, "usage_count": 4 }]),
        json!([{ "usage_limit": 5, "expires_at": null },
            { "usage_limit": null, "expires_at": "2030-01-31T10:00:00.250Z" }]),
        json!([{ "usage_limit": null, "usage_window_seconds": null, "usage_count": 4 },
            { "usage_limit": 6, "usage_window_seconds": 60, "usage_count": 0 }]),
        json!([{}, {}]),
    ];
    for (change, expected) in found.iter().zip(&expected) {
        assert_eq!((&change["what"], &change["id_of"]), (&json!("update_key"), &json!(id)));
        assert_eq!(change["name"], "l");
        assert_eq!(json!([change["before"], change["after"]]), *expected);
    }
    let first = listed.text.split("\"before\":").last().unwrap();
    assert_eq!(
        members_of(first).join(" "),
        "name metadata name metadata key",
        "in the list's order"
    );
}
