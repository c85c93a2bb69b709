use crate::pool::Pool;

const PATH: &str = "/admin/consumers";

#[tokio::test]
async fn creates_a_consumer_and_shows_its_token() {
    let pool = Pool::with_tier().await;
    let body = r#"{"name":"c","description":"runs","scopes":["t"]}"#;
    let added = pool.post(PATH, body).await;
    assert_eq!(added.status, 201, "{}", added.text);
    assert_eq!(added.members(), ["id", "name", "token"]);
    let consumer = added.json();
    assert_eq!(consumer["name"], "c");
    let token = consumer["token"].as_str().unwrap();
    assert!(token.starts_with("kp_") && token.len() == 52, "{token}");
    let listed = pool.get(PATH).await.json();
    assert_eq!(listed[0]["id"], consumer["id"]);
    assert_eq!(listed[0]["description"], "runs");
    pool.draw(token, "f").await.expect_problem(429, "no_usable_key");
}

#[tokio::test]
async fn needs_but_a_name() {
    let pool = Pool::new().await;
    let body = r#"{"name":"c","description":null,"scopes":null}"#;
    assert_eq!(pool.post(PATH, body).await.status, 201);
    assert_eq!(pool.post(PATH, r#"{"name":"d"}"#).await.status, 201);
}

#[tokio::test]
async fn takes_an_expiry() {
    let pool = Pool::with_tier().await;
    let body = r#"{"name":"c","scopes":["t"],"expires_at":"2026-11-23T17:00:00.001+01:00"}"#;
    let added = pool.post(PATH, body).await;
    assert_eq!(
        (added.status, added.members()),
        (201, vec!["id".into(), "name".into(), "token".into()])
    );
    let token = added.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(pool.get(PATH).await.json()[0]["expires_at"], "2026-11-23T16:00:00.001Z");
    pool.draw(&token, "f").await.expect_problem(429, "no_usable_key");
    pool.clock.advance(std::time::Duration::from_millis(1));
    pool.draw(&token, "f").await.expect_problem(401, "unauthorized");
    for none in [r#"{"name":"d","expires_at":""}"#, r#"{"name":"e","expires_at":null}"#] {
        assert_eq!(pool.post(PATH, none).await.status, 201);
    }
    assert_eq!(pool.get(PATH).await.json()[2]["expires_at"], serde_json::Value::Null);
}

#[tokio::test]
async fn takes_a_name_once() {
    let pool = Pool::new().await;
    pool.add_consumer("c", &[]).await;
    pool.post(PATH, r#"{"name":"c"}"#).await.expect_problem(409, "name_taken");
}

#[tokio::test]
async fn does_not_know_every_tier() {
    let pool = Pool::with_tier().await;
    let refused = pool.post(PATH, r#"{"name":"c","scopes":["t","u"]}"#).await;
    refused.expect_problem(404, "unknown_tier");
    assert_eq!(pool.get(PATH).await.text, "[]");
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid_and_changes_nothing() {
    let pool = Pool::with_tier().await;
    let cases = [
        (r#"{}"#, "name"),
        (r#"{"name":""}"#, "name"),
        (r#"{"name":true}"#, "name"),
        (r#"{"name":"c","description":{}}"#, "description"),
        (r#"{"name":"c","scopes":"t"}"#, "scopes"),
        (r#"{"name":"c","scopes":[1]}"#, "scopes[0]"),
        (r#"{"name":"c","scopes":["t",null]}"#, "scopes[1]"),
        (r#"{"name":"c","expires_at":"2026-11-23T16:00:00Z"}"#, "expires_at"),
        (r#"{"name":"c","expires_at":"soon"}"#, "expires_at"),
        (r#"{"name":"c","expires_at":true}"#, "expires_at"),
        (r#"{"name":"c","token":"mine"}"#, "token"),
        (r#"{"name":"c","name":"c"}"#, "name"),
    ];
    for (body, field) in cases {
        pool.post(PATH, body).await.expect_invalid(field);
    }
    for body in ["[]", r#"["c","runs"]"#, "\"c\"", ""] {
        pool.post(PATH, body).await.expect_problem(400, "malformed_request");
    }
    assert_eq!(pool.get(PATH).await.text, "[]");
}
