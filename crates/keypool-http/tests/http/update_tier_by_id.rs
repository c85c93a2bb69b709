use serde_json::json;

use crate::pool::{ADMIN, Pool};

#[tokio::test]
async fn replaces_what_is_given_and_renames() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    let id = pool.tier_id("t").await;
    let path = format!("/admin/tiers/{id}");
    let renamed = pool.patch(&path, r#"{"name":"u"}"#).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    assert_eq!(renamed.members(), ["id", "name", "description", "features"]);
    let renamed = renamed.json();
    assert_eq!((&renamed["id"], &renamed["name"]), (&json!(id), &json!("u")));
    assert_eq!(renamed["features"]["g"]["rate_limit"], 5);
    assert_eq!(pool.get("/admin/keys").await.json()[0]["tier"], "u");
    assert_eq!(pool.get("/admin/consumers").await.json()[0]["scopes"], json!(["u"]));
    assert_eq!(pool.draw(&token, "f").await.status, 200);

    let body = r#"{"description":"new","features":{"h":{"rate_limit":3}}}"#;
    let changed = pool.patch(&path, body).await.json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("u"), &json!("new")));
    assert_eq!(changed["features"], json!({ "h": { "rate_limit": 3, "window_seconds": 60 } }));
    assert_eq!(pool.get("/admin/tiers").await.json(), json!([changed]));
    pool.draw(ADMIN, "f").await.expect_problem(404, "unknown_feature");
}

#[tokio::test]
async fn takes_no_name_that_another_tier_has() {
    let pool = Pool::with_tier().await;
    let other = r#"{"name":"u","features":{"f":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", other).await.status, 201);
    let path = format!("/admin/tiers/{}", pool.tier_id("t").await);
    pool.patch(&path, r#"{"name":"u"}"#).await.expect_problem(409, "name_taken");
    assert_eq!(pool.patch(&path, r#"{"name":"t"}"#).await.status, 200, "its own is not taken");
    assert_eq!(pool.patch(&path, r#"{"name":"v"}"#).await.status, 200);
    let other = format!("/admin/tiers/{}", pool.tier_id("u").await);
    assert_eq!(pool.patch(&other, r#"{"name":"t"}"#).await.status, 200, "it is free again");
}

#[tokio::test]
async fn does_not_know_every_tier() {
    let pool = Pool::with_tier().await;
    let body = r#"{"description":"d"}"#;
    pool.patch("/admin/tiers/t", body).await.expect_problem(404, "unknown_tier");
    pool.patch("/admin/tiers/%zz", body).await.expect_problem(400, "malformed_request");
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid_and_changes_nothing() {
    let pool = Pool::with_tier().await;
    let before = shown(&pool).await;
    let path = format!("/admin/tiers/{}", pool.tier_id("t").await);
    let cases = [
        (r#"{"name":""}"#, "name"),
        (r#"{"name":5}"#, "name"),
        (r#"{"name":null}"#, "name"),
        (r#"{"description":5}"#, "description"),
        (r#"{"description":null,"name":"u"}"#, "description"),
        (r#"{"features":{}}"#, "features"),
        (r#"{"features":null}"#, "features"),
        (r#"{"name":"u","features":{"f":{"rate_limit":-1}}}"#, "features.f.rate_limit"),
        (r#"{"id":"mine"}"#, "id"),
    ];
    for (body, field) in cases {
        pool.patch(&path, body).await.expect_invalid(field);
    }
    for body in ["", "{}"] {
        pool.patch(&path, body).await.expect_problem(400, "malformed_request");
    }
    assert_eq!(shown(&pool).await, before);
}

/// The tiers, and the record of changes.
async fn shown(pool: &Pool) -> [String; 2] {
    [pool.get("/admin/tiers").await.text, pool.get("/admin/changes").await.text]
}
