//! Databases of our own earlier schemas.

use std::path::PathBuf;

use keypool_core::{ConsumerNo, GrantId};
use sqlx::AssertSqlSafe;
use tempfile::{TempDir, tempdir};

use crate::chain::page;
use crate::support::{open, raw, rows};

/// A pool of schema 2, brought further by these.
async fn pool_of_schema_2(further: &[&'static str]) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("pool.db");
    std::fs::write(&path, "").unwrap();
    let mut connection = raw(&path).await;
    let first = [
        include_str!("../../../../migrations/0001_original.sql"),
        include_str!("../../../../migrations/0002_keypooler.sql"),
        "INSERT INTO tiers VALUES (1, 'tier-1', 'fire', '', 0, NULL);
         INSERT INTO features VALUES (1, 'search');
         INSERT INTO tier_features VALUES (1, 1, 5, 60);
         INSERT INTO keys VALUES (1, 'key-1', 'one', 1, 'v', 1, NULL, NULL, NULL, '{}', 0, NULL),
            (2, 'key-2', 'two', 1, 'v', 1, NULL, NULL, NULL, '{}', 0, NULL),
            (3, 'key-3', '', 1, NULL, 0, NULL, NULL, NULL, NULL, 0, 9);
         INSERT INTO budget_counters VALUES (1, 5, NULL, 2, 0), (2, 0, NULL, 0, 0);
         INSERT INTO consumers VALUES (1, 'consumer-1', 'bot', '', 'digest', 1, 77, NULL);
         INSERT INTO usage_events VALUES (10, 1, 0, 1), (20, 3, 1, 1), (30, 1, 1, 1), (40, 1, 0, 1);",
    ];
    for text in first.iter().chain(further) {
        sqlx::raw_sql(AssertSqlSafe(*text)).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
    (folder, path)
}

/// A migration that was released stays as it is: whoever has gone through it does not go through it again.
#[test]
fn released_migrations_stay_as_they_are() {
    let digests = [
        include_str!("../../../../migrations/0001_original.sql"),
        include_str!("../../../../migrations/0002_keypooler.sql"),
        include_str!("../../../../migrations/0003_chained_events.sql"),
        include_str!("../../../../migrations/0004_replicas.sql"),
        include_str!("../../../../migrations/0005_changes.sql"),
        include_str!("../../../../migrations/0006_tokens.sql"),
        include_str!("../../../../migrations/0007_pruning.sql"),
        include_str!("../../../../migrations/0008_strays.sql"),
    ]
    .map(|text| crc32fast::hash(text.as_bytes()));
    assert_eq!(
        digests,
        [
            0x0142d5af, 0xf19c335d, 0xcaccdbd5, 0xd26957a3, 0x3f08f08d, 0x2823b384, 0xe590eeef,
            0xc6008068
        ]
    );
}

/// Replicas whose clocks differ left such counters before schema 8.
#[tokio::test]
async fn an_upgrade_from_schema_7_strikes_balances_that_had_gone_wrong() {
    let (_folder, path) = pool_of_schema_2(&[
        include_str!("../../../../migrations/0003_chained_events.sql"),
        include_str!("../../../../migrations/0004_replicas.sql"),
        include_str!("../../../../migrations/0005_changes.sql"),
        include_str!("../../../../migrations/0006_tokens.sql"),
        include_str!("../../../../migrations/0007_pruning.sql"),
        "UPDATE budget_counters SET used = used + 1 WHERE key_no = 1;
         INSERT INTO rate_counters VALUES (1, 1, 5, 10, 2, 40), (2, 1, 7, 50, 4, 60);
         INSERT INTO pruned_rates VALUES (1, 1, 4, 9), (2, 1, 7, 4);",
    ])
    .await;
    let store = open(&path).await;
    assert_eq!(store.check_counters().await.unwrap(), []);
    let used = "SELECT key_no || ': ' || used FROM budget_counters WHERE key_no < 3 UNION ALL
        SELECT key_no || ' of ' || feature_no || ': ' || used FROM rate_counters";
    assert_eq!(rows(&path, used).await, ["1: 6", "2: 0", "1 of 1: 2", "2 of 1: 4"]);
    let openings =
        "SELECT key_no || ' since ' || window_start_ms || ': ' || events FROM rate_openings";
    assert_eq!(rows(&path, openings).await, ["1 since 5: 2", "2 since 7: 4"]);
    store.close().await;
}

#[tokio::test]
async fn an_upgrade_from_schema_2_chains_what_is_there() {
    let (_folder, path) = pool_of_schema_2(&[]).await;
    let store = open(&path).await;
    assert_eq!(store.check_counters().await.unwrap(), []);
    let ids = |ids: &[i64]| ids.iter().copied().map(GrantId::new).collect::<Vec<_>>();
    assert_eq!(page(&store, 1, None, 9).await, ids(&[40, 30, 10]));
    assert_eq!(page(&store, 2, None, 9).await, []);
    assert_eq!(page(&store, 3, None, 9).await, ids(&[20]));
    let left =
        "SELECT name FROM sqlite_master WHERE name GLOB 'v2_*' OR name = 'usage_events_by_key'";
    assert_eq!(rows(&path, left).await, [""; 0]);
    let mut uses = store.uses().await.unwrap();
    uses.sort_unstable();
    let by = |no, id| (ConsumerNo::new(no), GrantId::new(id));
    assert_eq!(uses, [by(0, 40), by(1, 30)], "what events told is noted");
    let consumer = store.load().await.unwrap().consumers.remove(0);
    assert_eq!(consumer.token_issued_at, consumer.created_at);
    assert_eq!((consumer.created_at.as_millis(), consumer.expires_at), (77, None));
    store.close().await;
}
