use std::time::Duration;

use serde_json::json;

use crate::pool::{ADMIN, Pool, members_of};

const PATH: &str = "/admin/keys";

/// Promise 8.
#[tokio::test]
async fn shows_counters_and_never_values() {
    let pool = Pool::with_tier().await;
    let more = r#","usage_limit":10,"usage_window_seconds":3600,"metadata":{"b":1,"a":2},
        "secrets":{"z":"hidden one","a":"hidden two"},"expires_at":"2030-01-31T12:00:00.75+02:00""#;
    let id = pool.add_key("k", more).await;
    pool.clock.advance(Duration::from_millis(1250));
    pool.draw(ADMIN, "f").await;
    let listed = pool.get(PATH).await;
    assert_eq!(listed.status, 200);
    for secret in ["value of k", "hidden"] {
        assert!(!listed.text.contains(secret));
    }
    let object = listed.text.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    let members = "id name tier_id tier is_active expires_at usage_limit usage_count usage_window_seconds \
                   usage_resets_at metadata secret_names usage created_at";
    assert_eq!(members_of(object).join(" "), members);
    let tier_id = &pool.get("/admin/tiers").await.json()[0]["id"];
    let expected = json!([{
        "id": id, "name": "k", "tier_id": tier_id, "tier": "t", "is_active": true,
        "expires_at": "2030-01-31T10:00:00Z",
        "usage_limit": 10, "usage_count": 1, "usage_window_seconds": 3600,
        "usage_resets_at": "2026-11-23T17:00:01.250Z",
        "metadata": { "b": 1, "a": 2 }, "secret_names": ["a", "z"],
        "usage": {
            "f": { "used": 1, "limit": 2, "window_seconds": 60 },
            "g": { "used": 0, "limit": 5, "window_seconds": 10 },
        },
        "created_at": "2026-11-23T16:00:00.000Z",
    }]);
    assert_eq!(listed.json(), expected);
}

#[tokio::test]
async fn lists_in_order_of_creation_with_nulls_for_what_is_not_set() {
    let pool = Pool::with_tier().await;
    assert_eq!(pool.get(PATH).await.text, "[]");
    for name in ["b", "a", "b"] {
        pool.add_key(name, "").await;
    }
    let keys = pool.get(PATH).await.json();
    let names: Vec<_> = keys.as_array().unwrap().iter().map(|key| &key["name"]).collect();
    assert_eq!(names, ["b", "a", "b"]);
    for member in ["expires_at", "usage_limit", "usage_window_seconds", "usage_resets_at"] {
        assert!(keys[0][member].is_null(), "{member}");
    }
    assert_eq!(keys[0]["usage_count"], 0);
    assert_eq!(keys[0]["secret_names"], json!([]));
    assert_eq!(keys[0]["metadata"], json!({}));
}
