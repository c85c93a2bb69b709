use std::time::Duration;

use serde_json::json;

use crate::pool::{ADMIN, Pool, START};

#[tokio::test]
async fn tells_how_the_pool_stands() {
    let pool = Pool::with_tier().await;
    let shown = pool.get("/admin/health").await;
    assert_eq!(shown.status, 200);
    let members = "pool_size encryption features driver schema_version uptime_seconds last_commit_at damaged \
        clock_ahead_seconds";
    assert_eq!(shown.members().join(" "), members);
    let idle = json!({ "usable": 0, "rate_limited": 0, "budget_spent": 0, "unusable": 0 });
    let mut expected = json!({
        "pool_size": 0, "encryption": false, "features": { "f": idle, "g": idle }, "driver": "sqlite",
        "schema_version": shown.json()["schema_version"], "uptime_seconds": 0,
        "last_commit_at": "2026-11-23T16:00:00.000Z", "damaged": [], "clock_ahead_seconds": null,
    });
    assert_eq!(shown.json(), expected);
    assert!(shown.json()["schema_version"].as_i64().is_some_and(|version| version >= 4));

    pool.add_key("k", "").await;
    pool.clock.advance(Duration::from_millis(90_001));
    pool.draw(ADMIN, "g").await;
    expected["pool_size"] = json!(1);
    expected["uptime_seconds"] = json!(90);
    expected["last_commit_at"] = json!("2026-11-23T16:01:30.001Z");
    for feature in ["f", "g"] {
        expected["features"][feature]["usable"] = json!(1);
    }
    assert_eq!(pool.get("/admin/health").await.json(), expected);
}

#[tokio::test]
async fn tells_for_each_feature_what_keeps_its_keys() {
    let pool = Pool::with_tier().await;
    let expires_at = r#","expires_at":"2026-11-23T16:00:10Z""#;
    let per_day = r#","usage_limit":1,"usage_window_seconds":86400"#;
    let for_life = r#","usage_limit":1"#;
    for (name, more) in [("a", ""), ("b", expires_at), ("c", per_day), ("d", for_life), ("e", "")] {
        pool.add_key(name, more).await;
    }
    // A key that may be called twice a minute is at its limit then; those of one unit have served it.
    for _ in 0..8 {
        assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
    }
    pool.draw(ADMIN, "f").await.expect_problem(429, "rate_limited");
    pool.clock.advance(Duration::from_secs(10));
    let shown = pool.get("/admin/health").await.json();
    let f = json!({ "usable": 0, "rate_limited": 2, "budget_spent": 1, "unusable": 2 });
    let g = json!({ "usable": 2, "rate_limited": 0, "budget_spent": 1, "unusable": 2 });
    assert_eq!(shown["features"], json!({ "f": f, "g": g }));
}

#[tokio::test]
async fn shows_a_wall_clock_that_is_too_far_ahead() {
    let pool = Pool::new().await;
    let days = Duration::from_secs(3 * 86_400);
    let ahead = START.as_millis() + i64::try_from(days.as_millis()).unwrap();
    pool.clock.set_wall(keypool_engine::Timestamp::from_millis(ahead));
    for _ in 0..2 {
        pool.get("/admin/health").await;
        pool.clock.advance(Duration::from_secs(90));
    }
    let shown = pool.get("/admin/health").await.json();
    assert_eq!(shown["clock_ahead_seconds"], days.as_secs());
}
