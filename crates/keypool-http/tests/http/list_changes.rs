use std::time::Duration;

use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::pool::{ADMIN, PEER, Pool, members_of, request};

const PATH: &str = "/admin/changes";

/// A pool with the changes 1 to 7 of the tier `t`, a millisecond apart.
async fn changed() -> Pool {
    let pool = Pool::with_tier().await;
    for n in 2..=7 {
        pool.clock.advance(Duration::from_millis(1));
        let body = json!({ "name": "t", "description": format!("change {n}") });
        assert_eq!(pool.patch("/admin/tiers", &body.to_string()).await.status, 200);
    }
    pool
}

/// What every change of a pool with one of everything left on record, oldest first.
async fn record_of(pool: &Pool) -> Vec<Value> {
    let listed = pool.get(PATH).await;
    assert_eq!(listed.status, 200);
    let mut changes = listed.json().as_array().unwrap().clone();
    changes.reverse();
    changes
}

#[tokio::test]
async fn says_what_was_changed_when_from_where_and_by_which_request() {
    let pool = Pool::with_tier().await;
    pool.clock.advance(Duration::from_millis(1_250));
    let body = Full::new(bytes::Bytes::from(r#"{"name":"t","description":"new"}"#));
    let mut asked = request(Method::PATCH, "/admin/tiers", ADMIN, body);
    asked.headers_mut().insert("x-request-id", "it's 1".parse().unwrap());
    assert_eq!(pool.call(asked).await.status, 200);

    let listed = pool.get(PATH).await;
    let first = listed.text.strip_prefix('[').unwrap();
    let members = "id at what id_of name from request_id before after";
    assert_eq!(members_of(first).get(..9).unwrap().join(" "), members);
    let changes = listed.json();
    let tier = pool.get("/admin/tiers").await.json()[0]["id"].clone();
    let newest = json!({
        "id": changes[0]["id"], "at": "2026-11-23T16:00:01.250Z", "what": "update_tier",
        "id_of": tier, "name": "t", "from": PEER.to_string(), "request_id": "it's 1",
        "before": { "description": "" }, "after": { "description": "new" },
    });
    assert_eq!(changes[0], newest);
    let oldest = &changes[1];
    assert_eq!((&oldest["what"], &oldest["id_of"]), (&json!("add_tier"), &tier));
    assert_eq!(oldest["before"], Value::Null);
    let features = json!({ "f": { "rate_limit": 2, "window_seconds": 60 },
        "g": { "rate_limit": 5, "window_seconds": 10 } });
    assert_eq!(oldest["after"], json!({ "name": "t", "description": "", "features": features }));
    assert_eq!(changes.as_array().unwrap().len(), 2);
}

/// Promise 8.
#[tokio::test]
async fn every_kind_of_change_is_on_record_without_secrets() {
    let pool = Pool::with_tier().await;
    let more = r#","usage_limit":7,"usage_window_seconds":60,"expires_at":"2030-01-31T12:00:00.5+02:00",
        "metadata":{"z":12345678901234567890,"a":1},"secrets":{"b":"hidden one","a":"hidden two"}"#;
    let key = pool.add_key("k", more).await;
    let many =
        r#"[{"name":"m1","key":"hidden 3","tier":"t"},{"name":"m2","key":"hidden 4","tier":"t"}]"#;
    assert_eq!(pool.post("/admin/keys", many).await.status, 201);
    let features = r#"{"name":"u","features":{"f":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", features).await.status, 201);
    let patch = r#"{"name":"u","description":"","features":{"f":{"rate_limit":9}}}"#;
    assert_eq!(pool.patch("/admin/tiers", patch).await.status, 200);
    let (consumer, token) = pool.add_consumer("c", &["t"]).await;
    let scopes = format!("/admin/consumers/{consumer}/scopes");
    assert_eq!(pool.post(&scopes, r#"{"tier":"u"}"#).await.status, 201);
    assert_eq!(pool.delete(&format!("{scopes}/t")).await.status, 200);
    assert_eq!(pool.delete(&format!("/admin/consumers/{consumer}")).await.status, 200);
    assert_eq!(pool.delete(&format!("/admin/keys/{key}")).await.status, 200);

    let text = pool.get(PATH).await.text;
    assert!(!text.contains("hidden") && !text.contains("value of") && !text.contains(&token));
    assert!(text.contains(r#""metadata":{"z":12345678901234567890,"a":1}"#), "{text}");
    let shown =
        |change: &Value| json!([change["what"], change["name"], change["before"], change["after"]]);
    let found: Vec<Value> = record_of(&pool).await.iter().map(shown).skip(1).collect();
    let key = json!({
        "name": "k", "tier": "t", "is_active": true, "expires_at": "2030-01-31T10:00:00.500Z",
        "usage_limit": 7, "usage_window_seconds": 60, "metadata": found[0][3]["metadata"],
        "secret_names": ["a", "b"],
    });
    let bare = |name: &str| {
        json!({
            "name": name, "tier": "t", "is_active": true, "expires_at": null, "usage_limit": null,
            "usage_window_seconds": null, "metadata": {}, "secret_names": [],
        })
    };
    let covers = |calls: i64| json!({ "f": { "rate_limit": calls, "window_seconds": 60 } });
    let tier = json!({ "name": "u", "description": "", "features": covers(1) });
    let consumer = |scopes: &[&str]| {
        json!({
            "name": "c", "description": "", "is_active": true, "expires_at": null, "scopes": scopes,
        })
    };
    let expected = [
        json!(["add_key", "k", null, key]),
        json!(["add_key", "m1", null, bare("m1")]),
        json!(["add_key", "m2", null, bare("m2")]),
        json!(["add_tier", "u", null, tier]),
        json!(["update_tier", "u", { "features": covers(1) }, { "features": covers(9) }]),
        json!(["add_consumer", "c", null, consumer(&["t"])]),
        json!(["add_scope", "c", { "scopes": ["t"] }, { "scopes": ["t", "u"] }]),
        json!(["remove_scope", "c", { "scopes": ["t", "u"] }, { "scopes": ["u"] }]),
        json!(["delete_consumer", "c", consumer(&["u"]), null]),
        json!(["delete_key", "k", key, null]),
    ];
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[tokio::test]
async fn what_was_refused_is_not_on_record() {
    let pool = Pool::with_tier().await;
    assert_eq!(pool.patch("/admin/tiers", r#"{"name":"x","description":""}"#).await.status, 404);
    let taken = r#"{"name":"t","features":{"f":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", taken).await.status, 409);
    assert_eq!(pool.delete("/admin/keys/nobody").await.status, 404);
    assert_eq!(record_of(&pool).await.len(), 1);
}

#[tokio::test]
async fn is_an_empty_array_at_first() {
    assert_eq!(Pool::new().await.get(PATH).await.text, "[]");
}

#[tokio::test]
async fn pages_by_its_link_to_the_end() {
    let pool = changed().await;
    let all = pool.get(PATH).await;
    assert_eq!(all.header("link"), None);
    let mut seen = Vec::new();
    let mut next = Some(format!("{PATH}?limit=3"));
    while let Some(path) = next {
        let page = pool.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        seen.extend(page.json().as_array().unwrap().iter().cloned());
        next = page.header("link").map(|link| {
            let address = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            assert!(address.starts_with("/admin/changes?limit=3&before="), "{address}");
            address.to_owned()
        });
    }
    assert_eq!(json!(seen), all.json());
    assert_eq!(seen.len(), 7);
    for (limit, count, has_next) in [(6, 6, true), (7, 7, false), (8, 7, false), (9_999, 7, false)]
    {
        let listed = pool.get(&format!("{PATH}?limit={limit}")).await;
        assert_eq!(listed.json().as_array().unwrap().len(), count);
        assert_eq!(listed.header("link").is_some(), has_next, "limit {limit}");
    }
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid() {
    let pool = Pool::new().await;
    for limit in ["0", "-1", "ten", "", "1.5", "%2B1", "1&limit=1"] {
        pool.get(&format!("{PATH}?limit={limit}")).await.expect_invalid("limit");
    }
    for before in ["", "1", "zzzzzzzzzzzzzzzz", "ffffffffffffffff", "%C3%A9%C3%A9%C3%A9%C3%A9"] {
        pool.get(&format!("{PATH}?before={before}")).await.expect_invalid("before");
    }
    pool.get(&format!("{PATH}?what=add_key")).await.expect_invalid("what");
}

#[tokio::test]
async fn answers_503_once_the_store_is_closed() {
    let pool = Pool::new().await;
    pool.engine.close().await;
    pool.get(PATH).await.expect_problem(503, "store_unavailable");
}
