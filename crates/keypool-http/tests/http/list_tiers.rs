use serde_json::json;

use crate::pool::Pool;

#[tokio::test]
async fn lists_by_name_with_features() {
    let pool = Pool::with_tier().await;
    let body = r#"{"name":"a","description":"first","features":{"x":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", body).await.status, 201);
    let listed = pool.get("/admin/tiers").await;
    assert_eq!(listed.status, 200);
    let tiers = listed.json();
    assert_eq!(tiers[0]["name"], "a");
    assert_eq!(tiers[0]["description"], "first");
    assert_eq!(tiers[0]["features"], json!({ "x": { "rate_limit": 1, "window_seconds": 60 } }));
    assert_eq!(tiers[1]["name"], "t");
    assert_eq!(tiers[1]["description"], "");
    assert_eq!(tiers.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn is_an_empty_array_at_first() {
    assert_eq!(Pool::new().await.get("/admin/tiers").await.text, "[]");
}
