//! Databases of our own earlier schemas.

use keypool_core::{ConsumerNo, GrantId};
use sqlx::AssertSqlSafe;
use tempfile::tempdir;

use crate::chain::page;
use crate::support::{open, raw, rows};

#[tokio::test]
async fn an_upgrade_from_schema_2_chains_what_is_there() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("pool.db");
    std::fs::write(&path, "").unwrap();
    let mut connection = raw(&path).await;
    for text in [
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
    ] {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();

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
