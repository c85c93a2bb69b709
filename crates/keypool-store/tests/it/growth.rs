//! What a usage event costs on disk: at most 48 bytes with its index.

use keypool_store::ChangeKind;

use crate::support::{Draw, batch, change, draw, empty, grant, key, open, tier};

const EVENTS: u32 = 50_000;
const BYTES_EACH: u64 = 48;

/// Events over ten keys, in batches as an engine writes them.
#[tokio::test]
async fn an_event_takes_at_most_48_bytes_of_file() {
    let fresh = empty().await;
    let wide = tier(1, "wide", &[(1, 1_000_000_000, 60)], &[(1, "search")]);
    change(&fresh.store, 1, ChangeKind::AddTier(wide)).await;
    change(&fresh.store, 2, ChangeKind::AddKeys((1..=10).map(key).collect())).await;
    fresh.store.close().await;
    let before = std::fs::metadata(fresh.path()).unwrap().len();

    let store = open(&fresh.path()).await;
    for first in (0..i64::from(EVENTS)).step_by(100) {
        let row = |n: i64| Draw {
            feature: 1,
            ..draw(1 + n * 7 % 10, grant(n / 20, u16::try_from(n % 20).unwrap()))
        };
        let draws: Vec<_> = (first..first + 100).map(row).collect();
        store.commit_draws(&batch(3, &draws)).await.unwrap();
    }
    assert_eq!(store.check_counters().await.unwrap(), []);
    store.close().await;
    let grown = std::fs::metadata(fresh.path()).unwrap().len() - before;
    assert!(grown <= u64::from(EVENTS) * BYTES_EACH, "{EVENTS} events took {grown} bytes of file");
}
