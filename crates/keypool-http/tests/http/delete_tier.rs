use crate::pool::{ADMIN, Pool};

/// Promise 5: it and the scopes on it are gone from the answer on; its name is free, its events stay.
#[tokio::test]
async fn removes_a_tier_that_holds_no_key() {
    let pool = Pool::with_tier().await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    let key = pool.add_key("k", "").await;
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    let path = format!("/admin/tiers/{}", pool.tier_id("t").await);
    let refused = pool.delete(&path).await.expect_problem(409, "tier_in_use");
    assert_eq!(refused["detail"], "the tier \"t\" holds 1 key: move or delete it first",);
    pool.add_key("k2", "").await;
    let refused = pool.delete(&path).await.expect_problem(409, "tier_in_use");
    assert!(refused["detail"].as_str().unwrap().contains("2 keys"), "{refused}");
    assert_eq!(pool.draw(&token, "f").await.status, 200, "it is as it was");
    let other = pool.get("/admin/keys").await.json()[1]["id"].as_str().unwrap().to_owned();
    for key in [key, other] {
        assert_eq!(pool.delete(&format!("/admin/keys/{key}")).await.status, 200);
    }

    let deleted = pool.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (200, r#"{"status":"deleted"}"#));
    assert_eq!(pool.get("/admin/tiers").await.text, "[]");
    assert_eq!(pool.get("/admin/consumers").await.json()[0]["scopes"], serde_json::json!([]));
    pool.draw(&token, "f").await.expect_problem(403, "out_of_scope");
    pool.draw(ADMIN, "f").await.expect_problem(404, "unknown_feature");
    assert_eq!(pool.get("/admin/usage").await.json().as_array().unwrap().len(), 2);
    pool.delete(&path).await.expect_problem(404, "unknown_tier");
    let again = r#"{"name":"t","features":{"f":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", again).await.status, 201);
}

#[tokio::test]
async fn does_not_know_every_tier() {
    let pool = Pool::with_tier().await;
    for id in ["nothing", "t", "%20"] {
        pool.delete(&format!("/admin/tiers/{id}")).await.expect_problem(404, "unknown_tier");
    }
    pool.delete("/admin/tiers/%zz").await.expect_problem(400, "malformed_request");
}
