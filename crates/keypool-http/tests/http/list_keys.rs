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

/// The names of the keys of a page.
async fn names(pool: &Pool, query: &str) -> Vec<String> {
    let listed = pool.get(&format!("{PATH}?{query}")).await;
    assert_eq!(listed.status, 200, "{query}: {}", listed.text);
    let keys = listed.json();
    keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
}

/// A pool with the keys `a`, `b`, `a`, `c` and `b` in turn in the tiers `t` and `u & v`, and their ids.
async fn five() -> (Pool, Vec<String>) {
    let pool = Pool::with_tier().await;
    let tier = r#"{"name":"u & v","features":{"f":{"rate_limit":1}}}"#;
    assert_eq!(pool.post("/admin/tiers", tier).await.status, 201);
    let mut ids = Vec::new();
    for (name, tier) in [("a", "t"), ("b", "u & v"), ("a", "t"), ("c", "u & v"), ("b", "t")] {
        let body = json!({ "name": name, "key": "v", "tier": tier }).to_string();
        ids.push(pool.post(PATH, &body).await.json()["id"].as_str().unwrap().to_owned());
    }
    (pool, ids)
}

#[tokio::test]
async fn filters_by_tier_and_name() {
    let (pool, _) = five().await;
    assert_eq!(names(&pool, "tier=t").await, ["a", "a", "b"]);
    assert_eq!(names(&pool, "tier=u+%26+v").await, ["b", "c"]);
    let tiers = pool.get("/admin/tiers").await.json();
    let id = tiers[1]["id"].as_str().unwrap();
    assert_eq!(names(&pool, &format!("tier={id}")).await, ["b", "c"]);
    assert_eq!(names(&pool, "name=b").await, ["b", "b"]);
    assert_eq!(names(&pool, "name=b&tier=t").await, ["b"]);
    for nobody in ["tier=w", "name=w", "tier=", "name=", "name=c&tier=t", "name=%C3%A9%00"] {
        assert_eq!(names(&pool, nobody).await, [""; 0], "{nobody}");
    }
}

#[tokio::test]
async fn pages_by_its_link_to_the_end_and_keeps_the_filters() {
    let (pool, ids) = five().await;
    for (query, filter, all) in [
        ("limit=2", "limit=2", vec!["a", "b", "a", "c", "b"]),
        ("limit=1&name=b", "name=b&limit=1", vec!["b", "b"]),
        ("tier=u%20%26%20v&limit=1", "tier=u%20%26%20v&limit=1", vec!["b", "c"]),
    ] {
        let (mut seen, mut next) = (Vec::new(), Some(format!("{PATH}?{query}")));
        while let Some(path) = next {
            seen.extend(names(&pool, path.split_once('?').unwrap().1).await);
            next = pool.get(&path).await.header("link").map(|link| {
                let address =
                    link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
                assert!(address.starts_with(&format!("{PATH}?{filter}&after=")), "{address}");
                address.to_owned()
            });
        }
        assert_eq!(seen, all, "{query}");
    }
    for (limit, count, has_next) in [(4, 4, true), (5, 5, false), (6, 5, false), (1_001, 5, false)]
    {
        let listed = pool.get(&format!("{PATH}?limit={limit}")).await;
        assert_eq!(listed.json().as_array().unwrap().len(), count);
        assert_eq!(listed.header("link").is_some(), has_next, "limit {limit}");
    }
    assert_eq!(names(&pool, &format!("after={}", ids[1])).await, ["a", "c", "b"]);
    assert_eq!(names(&pool, &format!("after={}", ids[4])).await, [""; 0]);
}

#[tokio::test]
async fn pages_go_on_after_a_key_that_was_deleted_meanwhile() {
    let (pool, ids) = five().await;
    assert_eq!(pool.delete(&format!("{PATH}/{}", ids[1])).await.status, 200);
    assert_eq!(names(&pool, &format!("after={}&limit=2", ids[1])).await, ["a", "c"]);
}

#[tokio::test]
async fn lists_thousands_of_keys_in_order() {
    let pool = Pool::with_tier().await;
    let body: Vec<_> = (0..3_000)
        .map(|n| json!({ "name": format!("k{n}"), "key": n.to_string(), "tier": "t" }))
        .collect();
    assert_eq!(pool.post(PATH, &json!(body).to_string()).await.status, 201);
    let all = names(&pool, "").await;
    assert_eq!(all, (0..3_000).map(|n| format!("k{n}")).collect::<Vec<_>>());
    assert_eq!(names(&pool, "name=k2999").await, ["k2999"]);
    assert_eq!(names(&pool, "limit=1000").await.len(), 1_000);
    assert_eq!(names(&pool, "limit=9999").await.len(), 1_000);
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid() {
    let (pool, _) = five().await;
    for limit in ["0", "-1", "ten", "", "1.5"] {
        pool.get(&format!("{PATH}?limit={limit}")).await.expect_invalid("limit");
    }
    for after in ["", "nobody", "a", "%00"] {
        let unknown = pool.get(&format!("{PATH}?after={after}")).await;
        unknown.expect_problem(404, "unknown_key");
    }
    pool.get(&format!("{PATH}?tier=%ff")).await.expect_invalid("tier");
    pool.get(&format!("{PATH}?before=1")).await.expect_invalid("before");
}
