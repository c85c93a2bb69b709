use std::time::Duration;

use serde_json::json;

use crate::pool::{Pool, START};

#[tokio::test]
async fn counts_the_keys() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let shown = pool.get("/admin/health").await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.members(), ["pool_size", "encryption", "damaged", "clock_ahead_seconds"]);
    let expected =
        json!({ "pool_size": 1, "encryption": false, "damaged": [], "clock_ahead_seconds": null });
    assert_eq!(shown.json(), expected);
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
