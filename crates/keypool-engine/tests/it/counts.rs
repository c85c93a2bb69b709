//! How many keys stand how.

use std::time::Duration;

use keypool_engine::{BudgetCounts, FeatureCounts, KeyCounts, NewKey, Timestamp};

use crate::support::*;

fn at(after_ms: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(START + after_ms))
}

#[tokio::test]
async fn counts_keys_by_tier_and_state_and_by_feature() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "a", &[("f", limit(1, 60)), ("g", limit(5, 60))]).await;
    add_tier(&engine, "b", &[("f", limit(9, 60))]).await;
    add_tier(&engine, "empty", &[("h", limit(9, 60))]).await;
    let in_a = [
        NewKey { usage_limit: Some(1), usage_window_seconds: Some(100), ..key("for-now", "a") },
        NewKey { usage_limit: Some(1), ..key("for-life", "a") },
        key("limited", "a"),
        NewKey { expires_at: at(40_000), ..key("expires", "a") },
        NewKey { expires_at: at(7_200_000), usage_limit: Some(10), ..key("expires-later", "a") },
    ];
    for key in in_a {
        engine.add_key(&origin(), key).await.unwrap();
    }
    engine.add_key(&origin(), key("in-b", "b")).await.unwrap();
    engine.add_key(&origin(), key("off", "b")).await.unwrap();
    let deactivate = "UPDATE keys SET is_active = 0 WHERE name = 'off'";
    engine.close().await;
    sqlx::query(deactivate).execute(&mut home.intruder().await).await.unwrap();
    let engine = home.open().await;
    // Each key of `a` serves `f` once, before the one of `b` that is left.
    for name in ["for-now", "for-life", "limited", "expires", "expires-later", "in-b"] {
        assert_eq!(value(&engine, "f").await, format!("value-of-{name}"));
    }
    home.clock.advance(Duration::from_secs(45));

    let counts = engine.counts().await;
    let names: Vec<&str> = counts.tiers.iter().map(|tier| &*tier.name).collect();
    assert_eq!(names, ["a", "b", "empty"]);
    assert_eq!((counts.pool_size(), counts.damaged.len()), (7, 0));
    let [a, b, empty] = counts.tiers.as_slice() else { panic!("{counts:?}") };
    let usable = KeyCounts { usable: 2, budget_spent: 1, exhausted: 1, ..KeyCounts::default() };
    assert_eq!(a.keys, KeyCounts { expired: 1, expiring: 1, ..usable });
    assert_eq!(a.budgets, BudgetCounts { used: 3, left: 9 });
    assert_eq!((a.next_expiry, b.next_expiry), (at(7_200_000), None));
    let f = FeatureCounts { usable: 0, rate_limited: 2, budget_spent: 1, unusable: 2 };
    let g = FeatureCounts { usable: 2, rate_limited: 0, budget_spent: 1, unusable: 2 };
    assert_eq!(a.features, [("f".into(), f), ("g".into(), g)]);
    assert_eq!(b.keys, KeyCounts { usable: 1, inactive: 1, ..KeyCounts::default() });
    assert_eq!(empty.keys, KeyCounts::default());
    let of_all = counts.features();
    assert_eq!(of_all["f"], FeatureCounts { usable: 1, unusable: 3, ..f });
    assert_eq!((of_all["g"], of_all["h"]), (g, FeatureCounts::default()));
    engine.close().await;
}

#[tokio::test]
async fn a_key_is_rate_limited_once_it_is_for_every_feature() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(1, 60)), ("g", limit(1, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    value(&engine, "f").await;
    let state = async || {
        let keys = engine.counts().await.tiers[0].keys;
        (keys.usable, keys.rate_limited)
    };
    assert_eq!(state().await, (1, 0));
    value(&engine, "g").await;
    assert_eq!(state().await, (0, 1));
    home.clock.advance(Duration::from_secs(60));
    assert_eq!(state().await, (1, 0));
    engine.close().await;
}

#[tokio::test]
async fn counts_each_of_many_keys_once() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(1, 60)), ("g", limit(1, 60))]).await;
    let keys = (0..2_000).map(|n| key(&format!("k{n}"), "t")).collect();
    engine.add_keys(&origin(), keys).await.unwrap();
    let counts = engine.counts().await;
    assert_eq!(counts.tiers[0].keys, KeyCounts { usable: 2_000, ..KeyCounts::default() });
    assert_eq!(counts.features()["g"].usable, 2_000);
    engine.close().await;
}
