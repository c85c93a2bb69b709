//! What a usage event costs on disk: at most 48 bytes with its index.

#![expect(clippy::disallowed_methods, reason = "measures how long many draws take")]

use keypool_store::ChangeKind;

use crate::support::{Draw, batch, change, draw, empty, grant, key, tier};

/// Bytes of file for each of `rows` events over ten keys, in batches as an engine writes them.
async fn bytes_a_row(rows: u32) -> f64 {
    let fresh = empty().await;
    let wide = tier(1, "wide", &[(1, 1_000_000_000, 60)], &[(1, "search")]);
    change(&fresh.store, 1, ChangeKind::AddTier(wide)).await;
    change(&fresh.store, 2, ChangeKind::AddKeys((1..=10).map(key).collect())).await;
    fresh.store.close().await;
    let before = std::fs::metadata(fresh.path()).unwrap().len();

    let store = crate::support::open(&fresh.path()).await;
    let start = std::time::Instant::now();
    for first in (0..i64::from(rows)).step_by(100) {
        let row = |n: i64| Draw {
            feature: 1,
            ..draw(1 + n * 7 % 10, grant(n / 20, u16::try_from(n % 20).unwrap()))
        };
        let draws: Vec<_> = (first..first + 100).map(row).collect();
        store.commit_draws(&batch(3, &draws)).await.unwrap();
    }
    println!("{rows} draws in batches of 100 took {:?}", start.elapsed());
    assert_eq!(store.check_counters().await.unwrap(), []);
    store.close().await;
    let grown = std::fs::metadata(fresh.path()).unwrap().len() - before;
    let bytes = u32::try_from(grown).unwrap();
    let each = f64::from(bytes) / f64::from(rows);
    println!("{rows} usage events took {each:.1} bytes of file each");
    each
}

#[tokio::test]
async fn an_event_takes_at_most_48_bytes_of_file() {
    assert!(bytes_a_row(50_000).await <= 48.0);
}

#[tokio::test]
#[ignore = "a million rows take a minute; run by name"]
async fn an_event_among_a_million_takes_at_most_48_bytes_of_file() {
    assert!(bytes_a_row(1_000_000).await <= 48.0);
}
