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
        json!({ "id": id, "name": name, "description": "", "is_active": true, "expires_at": null,
            "scopes": scopes, "created_at": "2026-11-23T16:00:00.000Z", "last_used_at": null,
            "token_issued_at": "2026-11-23T16:00:00.000Z", "old_token_until": null })
    };
    assert_eq!(listed.json(), json!([consumer(&b, "b", &["t"]), consumer(&a, "a", &[])]));
    let first = listed.text.split("},{").next().unwrap().strip_prefix('[').unwrap();
    let members = [
        "id",
        "name",
        "description",
        "is_active",
        "expires_at",
        "scopes",
        "created_at",
        "last_used_at",
        "token_issued_at",
        "old_token_until",
    ];
    assert_eq!(members_of(first), members);
}

#[tokio::test]
async fn says_when_each_was_granted_a_key_last() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    for _ in 0..3 {
        pool.clock.advance(std::time::Duration::from_millis(1_001));
        pool.draw(&token, "f").await;
    }
    let listed = pool.get("/admin/consumers").await.json();
    assert_eq!(listed[0]["last_used_at"], "2026-11-23T16:00:02.002Z", "the third was refused");
}
