//! Events that come out of order: replicas pass each other on the way to the database.

use std::time::Duration;

use keypool_store::{ChangeKind, DrawBatch, Store};

use crate::server::Server;
use crate::support::{Draw, batch, change, draw, grant, key, tier};

/// How long the median of some commits takes.
#[expect(clippy::disallowed_methods, reason = "a test that measures")]
async fn median(store: &Store, batches: impl Iterator<Item = DrawBatch>) -> Duration {
    let mut times = Vec::new();
    for batch in batches {
        let start = std::time::Instant::now();
        store.commit_draws(&batch).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Promise 6.
#[tokio::test]
async fn an_event_that_comes_out_of_order_is_put_in_its_place_without_a_look_at_the_whole_table() {
    let fresh = Server::start().await;
    let store = fresh.open().await;
    let wide = tier(1, "wide", &[(1, 1_000_000_000, 60)], &[(1, "search")]);
    change(&store, 1, ChangeKind::AddTier(wide)).await;
    change(&store, 2, ChangeKind::AddKeys((1..=10).map(key).collect())).await;
    let at = |n: i64, sequence| Draw { feature: 1, ..draw(1 + n % 10, grant(n, sequence)) };
    for first in (0..40_000).step_by(1_000) {
        let draws: Vec<_> = (first..first + 1_000).map(|n| at(n, 0)).collect();
        store.commit_draws(&batch(3, &draws)).await.unwrap();
    }
    let in_order = median(&store, (0..31).map(|n| batch(3, &[at(50_000 + n, 0)]))).await;
    let passed = median(&store, (0..31).map(|n| batch(3, &[at(39_900 + n, 1)]))).await;
    assert!(passed < in_order * 15, "{passed:?} out of order, {in_order:?} in order");
    assert_eq!(store.check_counters().await.unwrap(), []);
}
