use crate::pool::Pool;

#[tokio::test]
async fn grants_a_tier_and_twice_is_harmless() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (id, token) = pool.add_consumer("c", &[]).await;
    pool.draw(&token, "f").await.expect_problem(403, "out_of_scope");
    let path = format!("/admin/consumers/{id}/scopes");
    for _ in 0..2 {
        let granted = pool.post(&path, r#"{"tier":"t"}"#).await;
        assert_eq!(granted.status, 201, "{}", granted.text);
        assert_eq!(granted.text, format!(r#"{{"consumer_id":"{id}","tier":"t"}}"#));
    }
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    assert_eq!(pool.get("/admin/consumers").await.json()[0]["scopes"], serde_json::json!(["t"]));
}

#[tokio::test]
async fn does_not_know_every_consumer_and_tier() {
    let pool = Pool::with_tier().await;
    let (id, _) = pool.add_consumer("c", &[]).await;
    let nobody = pool.post("/admin/consumers/nobody/scopes", r#"{"tier":"t"}"#).await;
    nobody.expect_problem(404, "unknown_consumer");
    let path = format!("/admin/consumers/{id}/scopes");
    pool.post(&path, r#"{"tier":"u"}"#).await.expect_problem(404, "unknown_tier");
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid() {
    let pool = Pool::with_tier().await;
    let (id, _) = pool.add_consumer("c", &[]).await;
    let path = format!("/admin/consumers/{id}/scopes");
    let cases = [
        (r#"{}"#, "tier"),
        (r#"{"tier":null}"#, "tier"),
        (r#"{"tier":["t"]}"#, "tier"),
        (r#"{"tier":"t","tier":"t"}"#, "tier"),
        (r#"{"tier":"t","name":"t"}"#, "name"),
    ];
    for (body, field) in cases {
        pool.post(&path, body).await.expect_invalid(field);
    }
    pool.post(&path, "[\"t\"]").await.expect_problem(400, "malformed_request");
    let escaped = pool.post("/admin/consumers/%zz/scopes", r#"{"tier":"t"}"#).await;
    escaped.expect_problem(400, "malformed_request");
}
