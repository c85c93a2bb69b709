use serde_json::json;

use crate::pool::Pool;

const PATH: &str = "/admin/tiers";

#[tokio::test]
async fn creates_a_tier() {
    let pool = Pool::new().await;
    let body = r#"{"name":"firecrawl","description":"pooled",
        "features":{"scrape":{"rate_limit":10,"window_seconds":30},"crawl":{"rate_limit":1,"window_seconds":null}}}"#;
    let added = pool.post(PATH, body).await;
    assert_eq!(added.status, 201, "{}", added.text);
    assert_eq!(added.members(), ["id", "name", "description", "features"]);
    let tier = added.json();
    assert_eq!(tier["name"], "firecrawl");
    assert_eq!(tier["description"], "pooled");
    let features = json!({
        "scrape": { "rate_limit": 10, "window_seconds": 30 },
        "crawl": { "rate_limit": 1, "window_seconds": 60 },
    });
    assert_eq!(tier["features"], features);
    assert_eq!(pool.get(PATH).await.json(), json!([tier]));
}

#[tokio::test]
async fn takes_a_name_once() {
    let pool = Pool::with_tier().await;
    let again = pool.post(PATH, r#"{"name":"t","features":{"f":{"rate_limit":1}}}"#).await;
    again.expect_problem(409, "name_taken");
    assert_eq!(pool.get(PATH).await.json().as_array().unwrap().len(), 1);
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid_and_changes_nothing() {
    let pool = Pool::new().await;
    let cases = [
        (r#"{}"#, "name"),
        (r#"{"name":null,"features":{"f":{"rate_limit":1}}}"#, "name"),
        (r#"{"name":5,"features":{"f":{"rate_limit":1}}}"#, "name"),
        (r#"{"name":"","features":{"f":{"rate_limit":1}}}"#, "name"),
        (r#"{"name":"a\u0007","features":{"f":{"rate_limit":1}}}"#, "name"),
        (r#"{"name":"a"}"#, "features"),
        (r#"{"name":"a","features":{}}"#, "features"),
        (r#"{"name":"a","features":[]}"#, "features"),
        (r#"{"name":"a","features":{"f":null}}"#, "features.f"),
        (r#"{"name":"a","features":{"f":[10,60]}}"#, "features.f"),
        (r#"{"name":"a","features":{"f":10}}"#, "features.f"),
        (r#"{"name":"a","features":{"f":{}}}"#, "features.f.rate_limit"),
        (r#"{"name":"a","features":{"f":{"rate_limit":"1"}}}"#, "features.f.rate_limit"),
        (r#"{"name":"a","features":{"f":{"rate_limit":1.0}}}"#, "features.f.rate_limit"),
        (r#"{"name":"a","features":{"f":{"rate_limit":1e2}}}"#, "features.f.rate_limit"),
        (r#"{"name":"a","features":{"f":{"rate_limit":0}}}"#, "features.f.rate_limit"),
        (
            r#"{"name":"a","features":{"f":{"rate_limit":9223372036854775808}}}"#,
            "features.f.rate_limit",
        ),
        (
            r#"{"name":"a","features":{"f":{"rate_limit":1,"window_seconds":9300000000}}}"#,
            "features.f.window_seconds",
        ),
        (r#"{"name":"a","features":{"f":{"rate_limit":1,"window":60}}}"#, "features.f.window"),
        (
            r#"{"name":"a","features":{"f":{"rate_limit":1,"rate_limit":2}}}"#,
            "features.f.rate_limit",
        ),
        (r#"{"name":"a","features":{"f":{"rate_limit":1},"f":{"rate_limit":2}}}"#, "features.f"),
        (r#"{"name":"a","name":"b","features":{"f":{"rate_limit":1}}}"#, "name"),
        (r#"{"name":"a","description":[],"features":{"f":{"rate_limit":1}}}"#, "description"),
        (r#"{"name":"a","feature":{"f":{"rate_limit":1}}}"#, "feature"),
    ];
    for (body, field) in cases {
        println!("{body}");
        pool.post(PATH, body).await.expect_invalid(field);
    }
    let odd_name = r#"{"name":"a","features":{"f g":{"rate_limit":1}}}"#;
    assert_eq!(pool.post(PATH, odd_name).await.status, 400);
    assert_eq!(pool.get(PATH).await.text, "[]");
}
