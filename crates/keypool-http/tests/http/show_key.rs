use crate::pool::{ADMIN, Pool};

#[tokio::test]
async fn shows_one_key_as_the_list_does() {
    let pool = Pool::with_tier().await;
    let more = r#","usage_limit":10,"metadata":{"b":1},"secrets":{"s":"hidden"}"#;
    let ids = [pool.add_key("a", more).await, pool.add_key("b", "").await];
    pool.draw(ADMIN, "f").await;
    let shown = [
        pool.get(&format!("/admin/keys/{}", ids[0])).await,
        pool.get(&format!("/admin/keys/{}", ids[1])).await,
    ];
    assert!(shown.iter().all(|shown| shown.status == 200));
    assert_eq!(shown[0].json()["usage_count"], 1);
    let list = pool.get("/admin/keys").await.text;
    assert_eq!(list, format!("[{},{}]", shown[0].text, shown[1].text));
    assert!(!list.contains("hidden") && !list.contains("value of"));
}

#[tokio::test]
async fn does_not_know_every_key() {
    let pool = Pool::with_tier().await;
    let id = pool.add_key("k", "").await;
    for unknown in ["nobody", "k", "%C3%A9"] {
        let path = format!("/admin/keys/{unknown}");
        pool.get(&path).await.expect_problem(404, "unknown_key");
    }
    pool.get("/admin/keys/%ff").await.expect_problem(400, "malformed_request");
    assert_eq!(pool.delete(&format!("/admin/keys/{id}")).await.status, 200);
    pool.get(&format!("/admin/keys/{id}")).await.expect_problem(404, "unknown_key");
}
