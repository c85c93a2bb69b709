use crate::pool::Pool;

/// Promise 5: no draw after the answer sees the scope.
#[tokio::test]
async fn revokes_by_name_and_by_id() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let tier_id = pool.get("/admin/tiers").await.json()[0]["id"].as_str().unwrap().to_owned();
    for tier in ["t", "%74", &tier_id] {
        let (id, token) = pool.add_consumer(tier, &["t"]).await;
        let path = format!("/admin/consumers/{id}/scopes/{tier}");
        let revoked = pool.delete(&path).await;
        assert_eq!(revoked.status, 200, "{}", revoked.text);
        pool.draw(&token, "f").await.expect_problem(403, "out_of_scope");
        pool.delete(&path).await.expect_problem(404, "unknown_scope");
    }
}

#[tokio::test]
async fn names_with_reserved_characters_are_escaped() {
    let pool = Pool::new().await;
    let body = r#"{"name":"a/b é","features":{"f":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", body).await.status, 201);
    let (id, _) = pool.add_consumer("c", &["a/b é"]).await;
    let path = format!("/admin/consumers/{id}/scopes/a%2Fb%20%C3%A9");
    assert_eq!(pool.delete(&path).await.status, 200);
}

#[tokio::test]
async fn does_not_know_every_consumer_and_tier() {
    let pool = Pool::with_tier().await;
    let (id, _) = pool.add_consumer("c", &[]).await;
    let nobody = pool.delete("/admin/consumers/nobody/scopes/t").await;
    nobody.expect_problem(404, "unknown_consumer");
    let nothing = pool.delete(&format!("/admin/consumers/{id}/scopes/u")).await;
    nothing.expect_problem(404, "unknown_tier");
    let escaped = pool.delete(&format!("/admin/consumers/{id}/scopes/%zz")).await;
    escaped.expect_problem(400, "malformed_request");
}
