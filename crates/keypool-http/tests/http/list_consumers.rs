use serde_json::json;

use crate::pool::{Pool, members_of};

/// Promise 8.
#[tokio::test]
async fn lists_in_order_of_creation_and_never_tokens() {
    let pool = Pool::with_tier().await;
    assert_eq!(pool.get("/admin/consumers").await.text, "[]");
    let (b, token) = pool.add_consumer("b", &["t"]).await;
    let (a, _) = pool.add_consumer("a", &[]).await;
    let listed = pool.get("/admin/consumers").await;
    assert_eq!(listed.status, 200);
    assert!(!listed.text.contains(&token));
    let consumer = |id: &str, name: &str, scopes: &[&str]| {
        json!({ "id": id, "name": name, "description": "", "is_active": true, "scopes": scopes,
            "created_at": "2026-11-23T16:00:00.000Z" })
    };
    assert_eq!(listed.json(), json!([consumer(&b, "b", &["t"]), consumer(&a, "a", &[])]));
    let first = listed.text.split("},{").next().unwrap().strip_prefix('[').unwrap();
    let members = ["id", "name", "description", "is_active", "scopes", "created_at"];
    assert_eq!(members_of(first), members);
}
