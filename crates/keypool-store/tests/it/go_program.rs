//! The Go program, started on a database of ours by mistake, finds its version 1 on record and cannot change anything.

use sqlx::AssertSqlSafe;

use crate::support::{batch, draw, dump, grant, open, original, raw, rows, seeded};

/// Every statement that it writes with, `$` standing for an id.
const WRITES: [&str; 22] = [
    "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL,
        applied_at TIMESTAMP NOT NULL DEFAULT (datetime('now')))",
    "INSERT INTO tiers (id, name, description) VALUES ('$', 'n', 'd')",
    "UPDATE tiers SET description = 'changed' WHERE id = '$'",
    "DELETE FROM tiers WHERE id = '$'",
    "DELETE FROM tier_features WHERE tier_id = '$'",
    "INSERT INTO tier_features (tier_id, feature, rate_limit, window_seconds) VALUES ('$', 'f', 1, 1)",
    "INSERT INTO keys (id, name, key_value, tier_id, is_active, expires_at, usage_limit, usage_count,
        usage_window_seconds, usage_window_start, metadata_json)
        VALUES ('$', 'n', 'v', '$', 1, NULL, NULL, 0, NULL, NULL, '{}')",
    "UPDATE keys SET usage_count = usage_count + 1 WHERE id = '$'",
    "UPDATE keys SET usage_count = 1, usage_window_start = '2026-11-23 16:11:19' WHERE id = '$'",
    "UPDATE keys SET is_active = 0 WHERE id = '$'",
    "DELETE FROM keys WHERE id = '$'",
    "DELETE FROM key_secrets WHERE key_id = '$'",
    "INSERT INTO key_secrets (key_id, name, value) VALUES ('$', 'n', 'v')",
    "INSERT INTO consumers (id, name, token_hash, description, is_active) VALUES ('$', 'n', 'h', 'd', 1)",
    "DELETE FROM consumers WHERE id = '$'",
    "DELETE FROM consumer_scopes WHERE consumer_id = '$'",
    "DELETE FROM consumer_scopes WHERE tier_id = '$'",
    "INSERT OR IGNORE INTO consumer_scopes (consumer_id, tier_id) VALUES ('$', '$')",
    "INSERT OR IGNORE INTO consumer_scopes (consumer_id, tier_id) SELECT '$', '$'",
    "INSERT INTO usage_events (id, key_id, consumer_id, feature) VALUES ('$', '$', 'admin', 'f')",
    "INSERT INTO usage_events (id, key_id, consumer_id, feature) VALUES ('$', '$', NULL, 'f')",
    "UPDATE keys SET usage_count = 0 WHERE id = '$'",
];

#[tokio::test]
async fn none_of_its_writes_changes_anything() {
    let (_folder, taken_over) = original("SELECT 1").await;
    open(&taken_over).await.close().await;
    let fresh = seeded().await;
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
    fresh.store.close().await;
    for path in [taken_over, fresh.path()] {
        let before = dump(&path).await;
        let mut connection = raw(&path).await;
        let uuids = rows(&path, "SELECT key_uuid FROM keys UNION SELECT tier_uuid FROM tiers UNION SELECT consumer_uuid FROM consumers").await;
        for id in uuids.iter().map(String::as_str).chain(["1", "0", "", "admin"]) {
            for write in WRITES {
                let sql = AssertSqlSafe(write.replace('$', id));
                let outcome = sqlx::query(sql).execute(&mut connection).await;
                let touched = outcome.map_or(0, |done| done.rows_affected());
                assert_eq!(touched, 0, "{write} with {id}");
            }
        }
        assert_eq!(dump(&path).await, before, "{}", path.display());
    }
}

#[tokio::test]
async fn it_finds_its_version_on_record_and_then_cannot_read_the_keys() {
    let fresh = seeded().await;
    let versions =
        rows(&fresh.path(), "SELECT version || name FROM schema_migrations WHERE version = 1")
            .await;
    assert_eq!(versions, ["1init"]);
    let reads = "SELECT id, name, key_value, tier_id, is_active, expires_at, usage_limit, usage_count,
        usage_window_seconds, usage_window_start, metadata_json, created_at FROM keys ORDER BY created_at";
    assert!(sqlx::query(reads).fetch_all(&mut raw(&fresh.path()).await).await.is_err());
}
