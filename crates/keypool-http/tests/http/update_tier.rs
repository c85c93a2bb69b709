use serde_json::json;

use crate::pool::{ADMIN, Pool};

const PATH: &str = "/admin/tiers";

#[tokio::test]
async fn replaces_what_is_given_and_keeps_the_rest() {
    let pool = Pool::with_tier().await;
    let described = pool.patch(PATH, r#"{"name":"t","description":"new","features":null}"#).await;
    assert_eq!(described.status, 200, "{}", described.text);
    assert_eq!(described.members(), ["id", "name", "description", "features"]);
    assert_eq!(described.json()["description"], "new");
    assert_eq!(described.json()["features"]["g"]["rate_limit"], 5);

    let body = r#"{"name":"t","features":{"h":{"rate_limit":3}}}"#;
    let changed = pool.patch(PATH, body).await.json();
    assert_eq!(changed["description"], "new");
    assert_eq!(changed["features"], json!({ "h": { "rate_limit": 3, "window_seconds": 60 } }));
    assert_eq!(pool.get(PATH).await.json(), json!([changed]));
}

/// As the Go program's callers may send it.
#[tokio::test]
async fn what_is_null_or_absent_stays() {
    let pool = Pool::with_tier().await;
    let before = pool.get(PATH).await.json();
    for body in [r#"{"name":"t"}"#, r#"{"name":"t","description":null,"features":null}"#] {
        let same = pool.patch(PATH, body).await;
        assert_eq!((same.status, same.json()), (200, before[0].clone()), "{body}");
    }
    assert_eq!(pool.get(PATH).await.json(), before);
}

/// Promise 5: new limits hold from the answer on.
#[tokio::test]
async fn holds_for_keys_at_once() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    pool.patch(PATH, r#"{"name":"t","features":{"f":{"rate_limit":1}}}"#).await;
    assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    pool.draw(ADMIN, "f").await.expect_problem(429, "rate_limited");
    pool.draw(ADMIN, "g").await.expect_problem(404, "unknown_feature");
}

#[tokio::test]
async fn does_not_know_every_tier() {
    let pool = Pool::with_tier().await;
    pool.patch(PATH, r#"{"name":"u","description":""}"#).await.expect_problem(404, "unknown_tier");
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid_and_changes_nothing() {
    let pool = Pool::with_tier().await;
    let before = pool.get(PATH).await.text;
    let cases = [
        (r#"{"description":"x"}"#, "name"),
        (r#"{"name":"t","description":5}"#, "description"),
        (r#"{"name":"t","features":{}}"#, "features"),
        (r#"{"name":"t","features":{"f":{"rate_limit":-1}}}"#, "features.f.rate_limit"),
        (r#"{"name":"t","new_name":"u"}"#, "new_name"),
    ];
    for (body, field) in cases {
        pool.patch(PATH, body).await.expect_invalid(field);
    }
    assert_eq!(pool.get(PATH).await.text, before);
}
