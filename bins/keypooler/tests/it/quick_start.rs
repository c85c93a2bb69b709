//! The original's quick start, from tier to draw to audit, and the same again after a kill (promises 2 and 3).

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Server};

const TIER: &str = r#"{
  "name": "firecrawl",
  "description": "Firecrawl pooled free-tier accounts",
  "features": { "firecrawl_scrape": {"rate_limit":10,"window_seconds":60},
                "firecrawl_search": {"rate_limit":5,"window_seconds":60} }
}"#;
const KEY: &str = r#"{
  "name": "firecrawl-01", "key": "fc-xxxx", "tier": "firecrawl",
  "usage_limit": 1000, "usage_window_seconds": 2592000,
  "secrets": { "webhook_secret": "whsec_xxxx" }
}"#;

#[test]
fn the_originals_quick_start_works_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let admin = Some(ADMIN_TOKEN);

    let tier = server.request("POST", "/admin/tiers", admin, Some(TIER));
    assert_eq!(tier.status, 201, "{}", tier.body);
    assert_eq!(
        tier.json()["features"]["firecrawl_search"],
        json!({"rate_limit": 5, "window_seconds": 60})
    );

    let key = server.request("POST", "/admin/keys", admin, Some(KEY));
    assert_eq!(key.status, 201, "{}", key.body);
    assert_eq!(key.json()["secret_names"], json!(["webhook_secret"]));
    let key_id = key.json()["id"].clone();

    let consumer = r#"{"name":"siphon-runner","description":"firecrawl via rotation"}"#;
    let consumer = server.request("POST", "/admin/consumers", admin, Some(consumer));
    assert_eq!(consumer.status, 201, "{}", consumer.body);
    let consumer = consumer.json();
    let (id, token) = (consumer["id"].as_str().unwrap(), consumer["token"].as_str().unwrap());

    let before = server.request("GET", "/key?feature=firecrawl_scrape", Some(token), None);
    assert_eq!((before.status, &before.json()["code"]), (403, &json!("out_of_scope")));
    let scopes = format!("/admin/consumers/{id}/scopes");
    let scope = server.request("POST", &scopes, admin, Some(r#"{"tier":"firecrawl"}"#));
    assert_eq!(scope.status, 201, "{}", scope.body);

    let drawn = draw(&server, token);
    assert_eq!(drawn["value"], "fc-xxxx");
    assert_eq!(drawn["secrets"], json!({"webhook_secret": "whsec_xxxx"}));
    assert_eq!(drawn["metadata"], json!({}));
    assert_eq!(drawn["key_id"], key_id);

    let usage = server.request("GET", "/admin/usage?limit=10", admin, None).json();
    assert_eq!(usage.as_array().map(Vec::len), Some(1));
    assert_eq!(usage[0]["key_id"], key_id);
    assert_eq!(usage[0]["consumer_id"], id);
    assert_eq!(usage[0]["feature"], "firecrawl_scrape");
    assert_eq!(usage[0]["draw_id"], drawn["draw_id"]);

    server.kill();
    let server = Server::start(folder.path(), &[]);
    draw(&server, token);
    let keys = server.request("GET", "/admin/keys", admin, None).json();
    assert_eq!(keys[0]["usage_count"], 2);
    assert_eq!(keys[0]["usage"]["firecrawl_scrape"]["used"], 2);
    let health = server.request("GET", "/admin/health", admin, None).json();
    assert_eq!(health["pool_size"], 1);
}

fn draw(server: &Server, token: &str) -> Value {
    let drawn = server.request("GET", "/key?feature=firecrawl_scrape", Some(token), None);
    assert_eq!(drawn.status, 200, "{}", drawn.body);
    drawn.json()
}
