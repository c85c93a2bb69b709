use crate::pool::{ADMIN, Pool};

/// Promise 5: no draw after the answer sees the key.
#[tokio::test]
async fn removes_a_key_and_keeps_its_events() {
    let pool = Pool::with_tier().await;
    let id = pool.add_key("k", "").await;
    pool.draw(ADMIN, "f").await;
    let path = format!("/admin/keys/{id}");
    let deleted = pool.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (200, r#"{"status":"deleted"}"#));
    assert_eq!(pool.get("/admin/keys").await.text, "[]");
    pool.draw(ADMIN, "f").await.expect_problem(429, "no_usable_key");
    let events = pool.get("/admin/usage").await.json();
    assert_eq!(
        (events[0]["key_id"].as_str(), events[0]["key_name"].as_str()),
        (Some(&*id), Some("k"))
    );
    pool.delete(&path).await.expect_problem(404, "unknown_key");
}

/// Promise 8: what stands in a path may be a secret put there by mistake.
#[tokio::test]
async fn does_not_know_every_key_and_does_not_repeat_its_id() {
    let pool = Pool::with_tier().await;
    for id in ["sk-live-sesame", "%00", "%2e%2e", "0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b"] {
        let refused = pool.delete(&format!("/admin/keys/{id}")).await;
        refused.expect_problem(404, "unknown_key");
        assert!(!refused.text.contains("sesame"));
    }
}

#[tokio::test]
async fn wants_proper_escapes() {
    let pool = Pool::with_tier().await;
    for id in ["%zz", "%", "%ff"] {
        let refused = pool.delete(&format!("/admin/keys/{id}")).await;
        refused.expect_problem(400, "malformed_request");
    }
}
