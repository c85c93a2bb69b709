//! The Go program's database is taken over in place, and every row of it is there after.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keypool_core::{FeatureNo, GrantId, KeyNo, TierNo};
use keypool_store::{KeyRow, Shape, TierFeature, UsageQuery, inspect};

use crate::support::{dump, open, original, raw, rows, settings};

/// 2026-11-23 16:11:19 UTC, when the fixture was made.
const MADE: i64 = 1_795_450_279_000;

#[tokio::test]
async fn looking_at_it_finds_every_value_and_changes_nothing() {
    let (_folder, path) = original("SELECT 1").await;
    let before = fs::read(&path).unwrap();
    let mut prospect = inspect(settings(&path)).await.unwrap();
    assert_eq!(prospect.shape(), Shape::Version(1));
    assert_eq!(prospect.oddities().await.unwrap(), []);
    let mut values = prospect.values().await.unwrap();
    values.sort_by(|a, b| (&a.name, &a.secret).cmp(&(&b.name, &b.secret)));
    assert_eq!(values.len(), 13);
    let hook = values.iter().find(|v| v.name == "firecrawl-02" && v.secret.is_some()).unwrap();
    assert_eq!(
        (hook.secret.as_deref(), hook.text.as_str()),
        (Some("webhook_secret"), "whsec-A7-2")
    );
    assert_eq!(hook.key, "3e888528-9e55-41a8-a72f-9621c603c69b");
    assert!(
        values.iter().any(|v| v.name == "serp-sealed" && v.text.starts_with("enc:gcm:1ec3c426"))
    );
    assert!(!format!("{values:?}").contains("whsec"));
    drop(prospect);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn every_key_keeps_value_secrets_count_window_and_expiry() {
    let (_folder, path) = original("SELECT 1").await;
    let store = open(&path).await;
    let keys = store.load().await.unwrap().keys;
    let summary = |key: &KeyRow| {
        let ms = |moment: keypool_core::Timestamp| moment.as_millis();
        (
            key.name.clone(),
            key.value.clone(),
            key.tier.get(),
            (
                key.usage_limit,
                key.usage_count,
                key.usage_window_secs,
                key.usage_window_start.map(ms),
            ),
            key.expires_at.map(ms),
        )
    };
    let month = Some(2_592_000);
    let sealed = "enc:gcm:0409a5cc4975949465036d095c503745dfc8706717d4d6643a7bbbc71e0cf51690f68d07f9324e0b323c";
    let serp = "enc:gcm:1ec3c426f912d2c56aea1aa3aae213d64fa53078caf23f58fd333e000ed74897ea147abd31033561b6fbc13f";
    let expected = [
        ("firecrawl-01", "fc-A7-plain-1", 1, (Some(1_000), 4, month, Some(MADE + 817)), None),
        ("firecrawl-02", "fc-A7-plain-2", 1, (Some(1_000), 3, month, Some(MADE + 824)), None),
        ("firecrawl-03", "fc-A7-plain-3", 1, (Some(1_000), 3, month, Some(MADE + 830)), None),
        ("firecrawl-expired", "fc-A7-expired", 1, (None, 0, None, None), Some(1_769_860_800_000)),
        ("firecrawl-future", "fc-A7-future", 1, (None, 0, None, None), Some(4_102_437_599_000)),
        ("serp-lifetime", "serp-A7-1", 2, (Some(7), 4, None, None), None),
        ("firecrawl-04", sealed, 1, (Some(2), 0, None, None), None),
        ("serp-sealed", serp, 2, (None, 0, None, None), None),
    ];
    let expected = expected.map(|(name, value, tier, usage, expiry)| {
        (name.to_owned(), value.to_owned(), tier, usage, expiry)
    });
    assert_eq!(keys.iter().map(summary).collect::<Vec<_>>(), expected);

    assert!(keys.iter().all(|key| key.active));
    assert_eq!(keys[0].id, "d3fdb075-ac18-47e4-ba77-a21b77f7dd4f");
    assert_eq!(keys[1].metadata, r#"{"account":"acc2@example.com","n":2}"#);
    assert_eq!(
        (keys[0].created_at.as_millis(), keys[7].created_at.as_millis()),
        (MADE, MADE + 2_000)
    );
    assert_eq!(keys[2].secrets, [("webhook_secret".to_owned(), "whsec-A7-3".to_owned())]);
    let names: Vec<_> = keys[6]
        .secrets
        .iter()
        .map(|(name, text)| (name.as_str(), text.get(..14).unwrap()))
        .collect();
    assert_eq!(names, [("extra", "enc:gcm:46d5a1"), ("webhook_secret", "enc:gcm:cfbaa9")]);
    assert_eq!(store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn tiers_features_consumers_and_scopes_stay() {
    let (_folder, path) = original("SELECT 1").await;
    let snapshot = open(&path).await.load().await.unwrap();
    let features: Vec<_> =
        snapshot.features.iter().map(|(no, name)| (no.get(), name.as_str())).collect();
    assert_eq!(features, [(1, "firecrawl_scrape"), (2, "firecrawl_search"), (3, "serp_search")]);
    let covers =
        |no, rate_limit, window_secs| (FeatureNo::new(no), TierFeature { rate_limit, window_secs });
    assert_eq!(snapshot.tiers[0].features, [covers(1, 10, 60), covers(2, 5, 60)]);
    assert_eq!(snapshot.tiers[1].features, [covers(3, 100, 3_600)]);
    assert_eq!(snapshot.tiers[0].description, "Firecrawl pooled free-tier accounts");
    assert_eq!(snapshot.tiers[0].id, "450c0bdb-d727-4814-b1f8-72dd20fd79e3");
    assert_eq!(
        (snapshot.tiers[0].name.as_str(), snapshot.tiers[1].name.as_str()),
        ("firecrawl", "serp")
    );
    let consumers: Vec<_> = snapshot
        .consumers
        .iter()
        .map(|c| {
            (
                c.name.as_str(),
                c.description.as_str(),
                c.token_hash.get(..8).unwrap(),
                c.scopes[0],
                c.active,
            )
        })
        .collect();
    let expected = [
        ("siphon-runner", "firecrawl via rotation", "172d6993", TierNo::new(1), true),
        ("serp-bot", "", "cad96603", TierNo::new(2), true),
    ];
    assert_eq!(consumers, expected);
    assert_eq!(snapshot.consumers[0].token_hash.len(), 64);
}

#[tokio::test]
async fn every_event_stays_in_order_and_the_rotation_goes_on_from_them() {
    let (_folder, path) = original("SELECT 1").await;
    let of_old = "SELECT printf('%s %s %s %s', key_id, consumer_id, feature, created_at) FROM usage_events ORDER BY rowid DESC";
    let old = rows(&path, of_old).await;
    let store = open(&path).await;
    let events =
        store.list_usage(&UsageQuery { limit: 100, key: None, before: None }).await.unwrap();
    let written = |ms: i64| if ms == MADE { "2026-11-23 16:11:19" } else { "2026-11-23 16:11:21" };
    let new: Vec<_> = events
        .iter()
        .map(|e| {
            format!("{} {} {} {}", e.key_id, e.consumer_id, e.feature, written(e.at.as_millis()))
        })
        .collect();
    assert_eq!(new, old);
    assert_eq!(events.len(), 16);
    assert_eq!(
        (events[0].consumer_name.as_str(), events[0].key_name.as_str()),
        ("admin", "firecrawl-03")
    );
    assert_eq!(events[0].at.as_millis(), MADE + 2_000);

    let snapshot = store.load().await.unwrap();
    assert_eq!(snapshot.latest_grant, Some(events[0].id));
    let first = &snapshot.keys[0];
    assert_eq!(first.no, KeyNo::new(1));
    let counters: Vec<_> = first
        .counters
        .iter()
        .map(|c| (c.feature.get(), c.window_start, c.used, c.last_grant))
        .collect();
    let last = |second: i64, number: i64| Some(GrantId::new(((MADE + second) << 21) + number));
    assert_eq!(counters, [(1, None, 0, last(0, 9)), (2, None, 0, last(2_000, 1))]);
}

#[tokio::test]
async fn a_copy_of_the_original_is_left_beside_it_for_its_owner_alone() {
    let (folder, path) = original("SELECT 1").await;
    let before = dump(&path).await;
    open(&path).await.close().await;
    let copy = folder.path().join("pool.db.v1.bak");
    assert_eq!(dump(&copy).await, before);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("pool.db.v1.bak.unfinished").exists());
    open(&path).await.close().await;
    assert!(
        !folder.path().join("pool.db.v1.bak.2").exists(),
        "a second start has nothing to take over"
    );
}

#[tokio::test]
async fn a_copy_that_is_there_already_is_not_overwritten() {
    let (folder, path) = original("SELECT 1").await;
    fs::write(folder.path().join("pool.db.v1.bak"), "an older one").unwrap();
    fs::write(folder.path().join("pool.db.v1.bak.unfinished"), "cut off").unwrap();
    let before = dump(&path).await;
    open(&path).await.close().await;
    assert_eq!(fs::read(folder.path().join("pool.db.v1.bak")).unwrap(), b"an older one");
    assert_eq!(dump(&folder.path().join("pool.db.v1.bak.2")).await, before);
}

#[tokio::test]
async fn nothing_of_the_old_tables_stays_in_the_file() {
    let (_folder, path) = original("SELECT 1").await;
    let store = open(&path).await;
    let tables = rows(
        &path,
        "SELECT name FROM sqlite_master WHERE name LIKE 'v1%' OR name LIKE 'takeover%'",
    )
    .await;
    assert_eq!(tables, [""; 0]);
    assert_eq!(rows(&path, "SELECT CAST(tidy_due AS TEXT) FROM pool").await, ["0"]);
    assert_eq!(rows(&path, "SELECT integrity_check FROM pragma_integrity_check").await, ["ok"]);
    assert_eq!(rows(&path, "SELECT \"table\" FROM pragma_foreign_key_check").await, [""; 0]);
    store.close().await;
    let file = fs::read(&path).unwrap();
    assert!(!file.windows(14).any(|bytes| bytes == b"m=+0.812345678"), "the old texts are gone");
}

#[tokio::test]
async fn moments_of_every_shape_are_read() {
    let shapes = [
        ("2026-11-23 16:11:19", MADE),
        ("2026-11-23 16:11:19.81736406+00:00", MADE + 817),
        ("2026-11-23 18:11:19.81736406+02:00", MADE + 817),
        ("2026-11-23 12:41:19.9999-03:30", MADE + 999),
        ("2026-01-31 12:00:00 +0000 UTC", 1_769_860_800_000),
        ("2026-11-23 16:11:19.81736406 +0000 UTC m=+0.812345678", MADE + 817),
        ("2026-11-23 18:11:19.8 +0200 CEST m=+12.000000001", MADE + 800),
        ("2099-12-31 23:59:59 +0200 +0200", 4_102_437_599_000),
        ("2026-11-23 08:11:19 -0800 PST", MADE),
        ("2026-11-23T16:11:19.5Z", MADE + 500),
        ("1969-12-31 23:59:59.25 +0000 UTC", -750),
        ("0001-01-01 00:00:00 +0000 UTC", -62_135_596_800_000),
        ("9999-12-31 23:59:59.999999999 +0000 UTC", 253_402_300_799_999),
    ];
    for (written, ms) in shapes {
        let (_folder, path) = original(&format!(
            "UPDATE keys SET expires_at = '{written}', created_at = '{written}', usage_window_start = '{written}';
             UPDATE consumers SET created_at = '{written}'"
        ))
        .await;
        let snapshot = open(&path).await.load().await.unwrap();
        assert_eq!(snapshot.keys[0].expires_at.unwrap().as_millis(), ms, "{written}");
        assert_eq!(snapshot.keys[0].usage_window_start.unwrap().as_millis(), ms, "{written}");
        assert_eq!(snapshot.keys[0].created_at.as_millis(), ms, "{written}");
        assert_eq!(snapshot.consumers[0].created_at.as_millis(), ms, "{written}");
    }
}

#[tokio::test]
async fn a_journal_that_was_not_folded_in_is_taken_over_too() {
    let (folder, path) = original("SELECT 1").await;
    let mut other = raw(&path).await;
    let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
        UPDATE keys SET usage_count = 5 WHERE name = 'serp-lifetime'";
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["pool.db", "pool.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let store = open(&copy.path().join("pool.db")).await;
    assert_eq!(store.load().await.unwrap().keys[5].usage_count, 5);
}

#[tokio::test]
async fn a_transaction_that_was_cut_off_is_undone_first() {
    let (folder, path) = original("SELECT 1").await;
    let mut other = raw(&path).await;
    let sql = "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;
        UPDATE keys SET key_value = hex(zeroblob(20000)), expires_at = 'half done'";
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["pool.db", "pool.db-journal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let (_other_folder, untouched) = original("SELECT 1").await;
    assert_ne!(whole, fs::read(&untouched).unwrap(), "the cut-off transaction reached the file");
    let store = open(&copy.path().join("pool.db")).await;
    assert_eq!(store.load().await.unwrap().keys[0].value, "fc-A7-plain-1");
}

#[tokio::test]
async fn a_takeover_that_fails_leaves_version_1_as_it_was() {
    // The moments that decide are checked before; one that changes between check and takeover must not slip through.
    let (_folder, path) = original("SELECT 1").await;
    let prospect = inspect(settings(&path)).await.unwrap();
    crate::support::run(&path, "UPDATE keys SET expires_at = 'late' WHERE name = 'firecrawl-01'")
        .await;
    let before = dump(&path).await;
    let refused = prospect.open().await.unwrap_err();
    assert!(refused.to_string().contains("could not be brought to schema version 2"), "{refused}");
    assert_eq!(dump(&path).await, before);
}
