use std::time::Duration;

use keypool_engine::Timestamp;
use serde_json::{Value, json};

use crate::pool::{ADMIN, Pool, START, members_of};

const PATH: &str = "/admin/usage/summary";

/// Six grants over two days: four of `f` by the admin, of these two on the first day, and two of `g` by a consumer.
async fn used() -> (Pool, [String; 2], String) {
    let pool = Pool::with_tier().await;
    let keys = [pool.add_key("a", "").await, pool.add_key("b", "").await];
    let (consumer, token) = pool.add_consumer("c", &["t"]).await;
    for day in 0..2 {
        pool.clock.advance(Duration::from_secs(day * 86_400));
        for _ in 0..2 {
            assert_eq!(pool.draw(ADMIN, "f").await.status, 200);
        }
    }
    for _ in 0..2 {
        assert_eq!(pool.draw(&token, "g").await.status, 200);
    }
    (pool, keys, consumer)
}

async fn summary(pool: &Pool, query: &str) -> Value {
    let shown = pool.get(&format!("{PATH}{query}")).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    shown.json()
}

#[tokio::test]
async fn without_groups_it_is_the_total() {
    assert_eq!(summary(&Pool::new().await, "").await, json!([{ "grants": 0 }]));
    let (pool, ..) = used().await;
    assert_eq!(summary(&pool, "").await, json!([{ "grants": 6 }]));
    assert_eq!(summary(&pool, "?since=2026-11-24T00:00:00Z").await, json!([{ "grants": 4 }]));
    assert_eq!(summary(&pool, "?until=2026-11-23T16:00:00Z").await, json!([{ "grants": 0 }]));
    let both = "?since=2026-11-23T16:00:00Z&until=2026-11-23T16:00:00.001Z";
    assert_eq!(summary(&pool, both).await, json!([{ "grants": 2 }]));
}

#[tokio::test]
async fn groups_by_what_is_named_in_that_order() {
    let (pool, [a, b], consumer) = used().await;
    let by_key = json!([
        { "key_id": a, "key_name": "a", "grants": 3 },
        { "key_id": b, "key_name": "b", "grants": 3 },
    ]);
    assert_eq!(summary(&pool, "?by=key").await, by_key);
    let by_consumer = json!([
        { "consumer_id": "admin", "consumer_name": "admin", "grants": 4 },
        { "consumer_id": consumer, "consumer_name": "c", "grants": 2 },
    ]);
    assert_eq!(summary(&pool, "?by=consumer").await, by_consumer);
    let by_feature_and_day = json!([
        { "feature": "f", "day": "2026-11-23", "grants": 2 },
        { "feature": "f", "day": "2026-11-24", "grants": 2 },
        { "feature": "g", "day": "2026-11-24", "grants": 2 },
    ]);
    assert_eq!(summary(&pool, "?by=feature%2Cday").await, by_feature_and_day);
    let by_day_and_feature = json!([
        { "feature": "f", "day": "2026-11-23", "grants": 2 },
        { "feature": "f", "day": "2026-11-24", "grants": 2 },
        { "feature": "g", "day": "2026-11-24", "grants": 2 },
    ]);
    assert_eq!(summary(&pool, "?by=day,feature").await, by_day_and_feature);
    let all = pool.get(&format!("{PATH}?by=day,feature,consumer,key")).await;
    let rows = all.json();
    assert_eq!(rows.as_array().unwrap().len(), 6);
    assert_eq!(rows[0]["key_name"], "a");
    let first = all.text.split("},{").next().unwrap().strip_prefix('[').unwrap();
    let members = "key_id key_name consumer_id consumer_name feature day grants";
    assert_eq!(members_of(first).join(" "), members);
    assert_eq!(summary(&pool, "?by=key&until=2020-01-01T00:00:00Z").await, json!([]));
}

#[tokio::test]
async fn the_deleted_keep_their_names() {
    let (pool, [a, _], consumer) = used().await;
    pool.delete(&format!("/admin/keys/{a}")).await;
    pool.delete(&format!("/admin/consumers/{consumer}")).await;
    assert_eq!(summary(&pool, "?by=key").await[0]["key_name"], "a");
    assert_eq!(summary(&pool, "?by=consumer").await[1]["consumer_name"], "c");
}

/// Promise 9: what is known of a pruned day is its total.
#[tokio::test]
async fn a_moment_within_a_pruned_day_is_refused_with_those_that_can_be_named() {
    let (pool, ..) = used().await;
    let (since, until) = ("?since=2026-11-23T16:00:00.001Z", "?until=2026-11-23T16:00:00.001Z");
    assert_eq!(summary(&pool, since).await, json!([{ "grants": 4 }]));
    assert_eq!(summary(&pool, until).await, json!([{ "grants": 2 }]));
    pool.prune(Timestamp::from_millis(START.as_millis() + 86_400_000)).await;
    for (query, field) in [(since, "since"), (until, "until")] {
        for by in ["", "&by=day", "&by=key,consumer,feature,day"] {
            let refused = pool.get(&format!("{PATH}{query}{by}")).await;
            refused.expect_invalid(field);
            let detail = refused.json()["detail"].as_str().unwrap().to_owned();
            assert!(
                detail.ends_with("name 2026-11-23T00:00:00Z or 2026-11-24T00:00:00Z"),
                "{detail}"
            );
        }
    }
    for (query, grants) in [
        ("", 6),
        ("?since=2026-11-23T00:00:00Z", 6),
        ("?until=2026-11-24T00:00:00Z", 2),
        ("?since=2026-11-24T00:00:00Z", 4),
        // Of these days nothing was pruned.
        ("?since=2026-11-22T12:00:00Z", 6),
        ("?since=2026-11-24T15:59:59Z&until=2026-11-24T16:00:00.001Z", 4),
    ] {
        assert_eq!(summary(&pool, query).await, json!([{ "grants": grants }]), "{query}");
    }
}

/// Promise 9.
#[tokio::test]
async fn names_what_is_invalid() {
    let pool = Pool::new().await;
    for by in ["", "hour", "key,key", "key,", ",key", "key,%20day", "Key", "key&by=day"] {
        pool.get(&format!("{PATH}?by={by}")).await.expect_invalid("by");
    }
    pool.get(&format!("{PATH}?since=yesterday")).await.expect_invalid("since");
    pool.get(&format!("{PATH}?until=tomorrow")).await.expect_invalid("until");
    pool.get(&format!("{PATH}?limit=5")).await.expect_invalid("limit");
}

#[tokio::test]
async fn answers_503_once_the_store_is_closed() {
    let pool = Pool::new().await;
    pool.engine.close().await;
    pool.get(PATH).await.expect_problem(503, "store_unavailable");
}
