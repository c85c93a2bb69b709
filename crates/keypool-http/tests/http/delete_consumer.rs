use crate::pool::Pool;

/// Promise 3: what was granted stays on record.
#[tokio::test]
async fn removes_a_consumer_and_keeps_its_events() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    assert_eq!(pool.draw(&token, "f").await.status, 200);
    let path = format!("/admin/consumers/{id}");
    let deleted = pool.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (200, r#"{"status":"deleted"}"#));
    assert_eq!(pool.get("/admin/consumers").await.text, "[]");
    let events = pool.get("/admin/usage").await.json();
    assert_eq!(events[0]["consumer_id"], id);
    assert_eq!(events[0]["consumer_name"], "c");
    pool.delete(&path).await.expect_problem(404, "unknown_consumer");
}

#[tokio::test]
async fn does_not_know_every_consumer() {
    let pool = Pool::new().await;
    for id in ["admin", "nobody", "%C3%A9"] {
        let refused = pool.delete(&format!("/admin/consumers/{id}")).await;
        refused.expect_problem(404, "unknown_consumer");
    }
    let refused = pool.delete("/admin/consumers/%zz").await;
    refused.expect_problem(400, "malformed_request");
}
