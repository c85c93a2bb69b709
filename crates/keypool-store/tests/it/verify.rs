//! What `verify` finds in a file: nothing in a sound one, and each thing that is amiss by its check (promise 3).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keypool_core::{KeyNo, Timestamp};
use keypool_store::{ChangeKind, Check, OpenStoreError, Shape, Verification, verify};

use crate::fresh::settings;
use crate::support::{Draw, Fresh, NOON, batch, change, draw, grant, original, run, seeded};

async fn look(path: &Path) -> Verification {
    verify(settings(path), |_| {}).await.unwrap()
}

/// What is found, as `check: sentence`.
async fn findings(path: &Path) -> Vec<String> {
    let found = look(path).await.findings;
    found.iter().map(|finding| format!("{}: {}", finding.check, finding.what)).collect()
}

/// A store with events of three keys, one of them deleted, that is still open.
async fn used() -> Fresh {
    let fresh = seeded().await;
    for part in 0..4 {
        let draws: Vec<Draw> = (0..6)
            .map(|n| match n % 3 {
                0 => Draw {
                    feature: 1,
                    rate_since: part * 60_000,
                    ..draw(1, grant(part * 60_000 + n, 0))
                },
                1 => draw(1, grant(part * 60_000 + n, 0)),
                _ => Draw {
                    budget_since: Some(part / 2 * 120_000),
                    ..draw(3, grant(part * 60_000 + n, 0))
                },
            })
            .map(|draw| Draw { rate_since: part * 60_000, ..draw })
            .collect();
        fresh.store.commit_draws(&batch(5, &draws)).await.unwrap();
    }
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(2))).await;
    fresh
}

#[tokio::test]
async fn nothing_is_amiss_in_a_pool_that_is_being_used() {
    let fresh = used().await;
    let mut looked_at = Vec::new();
    let found = verify(settings(&fresh.path()), |check| looked_at.push(check)).await.unwrap();
    assert_eq!(found.findings, []);
    assert_eq!(found.skipped, []);
    assert_eq!(looked_at, Check::ALL);
    let rows = found.rows.unwrap();
    assert_eq!((rows.usage_events, rows.keys, rows.consumers), (24, 2, 1));
    assert_eq!(found.values.len(), 2);
}

#[tokio::test]
async fn the_file_stays_as_it_is() {
    let fresh = used().await;
    fresh.store.close().await;
    let before = fs::read(fresh.path()).unwrap();
    look(&fresh.path()).await;
    assert_eq!(fs::read(fresh.path()).unwrap(), before);
}

#[tokio::test]
async fn whatever_is_amiss_is_found_by_its_check() {
    let amiss = [
        (
            "UPDATE budget_counters SET used = used + 1 WHERE key_no = 1",
            "counters: the budget counter of key name of 1 (key-1) is 17, and its opening balance and usage events amount to 16",
        ),
        (
            "DELETE FROM budget_counters WHERE key_no = 3",
            "counters: the budget counter of key name of 3 (key-3) is missing",
        ),
        (
            "UPDATE rate_counters SET used = 7 WHERE key_no = 3",
            "counters: the rate counter for scrape of key name of 3 (key-3) is 7, and the usage events of its window amount to 2",
        ),
        (
            "DELETE FROM usage_events WHERE id = (SELECT min(id) FROM usage_events WHERE key_no = 1 AND id > (SELECT min(id) FROM usage_events WHERE key_no = 1))",
            "chains: usage event",
        ),
        (
            "UPDATE usage_events SET previous = NULL WHERE id = (SELECT max(id) FROM usage_events WHERE key_no = 1)",
            "names none as the one before it, and that is",
        ),
        (
            "UPDATE budget_counters SET newest_event = NULL WHERE key_no = 1",
            "chains: key name of 1 (key-1) names none as its newest usage event",
        ),
        (
            "UPDATE rate_counters SET last_grant = last_grant - 1 WHERE key_no = 3",
            "chains: key name of 3 (key-3) was granted for scrape at",
        ),
        ("PRAGMA foreign_keys = OFF; DELETE FROM keys WHERE key_no = 1", "foreign_keys: row"),
        ("DROP TRIGGER draw_batch_insert", "schema: the trigger draw_batch_insert is missing"),
        (
            "DROP INDEX tiers_living_names; CREATE INDEX tiers_living_names ON tiers(name)",
            "schema: the index tiers_living_names is not as the migrations make it",
        ),
        (
            "CREATE TRIGGER sly AFTER INSERT ON usage_events BEGIN UPDATE budget_counters SET used = 0; END",
            "schema: the trigger sly is not keypooler's",
        ),
        (
            "UPDATE keys SET revision = 99 WHERE key_no = 1",
            "revisions: the key name of 1 carries revision 99, and the pool is at 6",
        ),
        (
            "DROP TRIGGER changes_are_kept; DELETE FROM changes WHERE revision = 3",
            "revisions: 1 changes since revision 2 are not on record",
        ),
        (
            "UPDATE pool SET revision = revision + 2",
            "revisions: 2 changes since revision 2 are not on record",
        ),
        (
            "UPDATE pool SET is_copying = 1",
            "revisions: it holds a copy of another database that was not finished",
        ),
    ];
    for (sql, expected) in amiss {
        let fresh = used().await;
        run(&fresh.path(), sql).await;
        let found = findings(&fresh.path()).await;
        assert!(found.iter().any(|what| what.contains(expected)), "{sql}\n{found:#?}");
    }
}

#[tokio::test]
async fn a_mode_that_lets_others_in_is_told() {
    let fresh = used().await;
    fs::set_permissions(fresh.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let found = findings(&fresh.path()).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("file: ") && found[0].contains("has mode 640"), "{found:?}");
}

#[tokio::test]
async fn a_torn_page_is_found() {
    let fresh = used().await;
    fresh.store.close().await;
    let mut bytes = fs::read(fresh.path()).unwrap();
    let torn = bytes.len() - 4_096..;
    bytes[torn].fill(0xff);
    fs::write(fresh.path(), bytes).unwrap();
    let found = findings(&fresh.path()).await;
    assert!(found.iter().any(|what| what.starts_with("integrity: ")), "{found:?}");
}

#[tokio::test]
async fn findings_are_bounded() {
    let fresh = seeded().await;
    let draws: Vec<Draw> = (0..300).map(|n| draw(1, grant(n, 0))).collect();
    fresh.store.commit_draws(&batch(5, &draws)).await.unwrap();
    run(&fresh.path(), "UPDATE usage_events SET previous = NULL").await;
    let found = findings(&fresh.path()).await;
    assert_eq!(found.len(), 101);
    assert_eq!(found[100], "chains: and more");
}

#[tokio::test]
async fn the_original_s_database_is_looked_at_as_far_as_it_goes() {
    let (_folder, path) = original("").await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = look(&path).await;
    assert_eq!((found.shape, found.rows, found.findings), (Shape::Version(1), None, vec![]));
    assert_eq!(found.skipped.len(), 1);
    assert!(!found.values.is_empty());
}

#[tokio::test]
async fn what_is_no_pool_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    let missing = verify(settings(&path), |_| {}).await;
    assert!(matches!(missing, Err(OpenStoreError::Missing { .. })), "{missing:?}");
    assert!(!path.exists());
    fs::write(&path, "this is no database").unwrap();
    let other = verify(settings(&path), |_| {}).await;
    assert!(matches!(other, Err(OpenStoreError::NotADatabase { .. })), "{other:?}");
}

#[tokio::test]
async fn a_pruned_pool_is_sound_and_its_totals_are_looked_at() {
    let fresh = used().await;
    let before = Timestamp::from_millis(NOON + 130_000);
    let oldest = fresh.store.oldest_usage(before, 100).await.unwrap();
    let batch = crate::prune::batch_of(&fresh.store, before, &oldest).await;
    fresh.store.prune(&batch).await.unwrap();
    assert_eq!(findings(&fresh.path()).await, Vec::<String>::new());
    assert_eq!(look(&fresh.path()).await.rows.unwrap().usage_events, 24 - 18);

    run(&fresh.path(), "DELETE FROM usage_events WHERE id = (SELECT min(id) FROM usage_events)")
        .await;
    let found = findings(&fresh.path()).await;
    assert!(found.iter().any(|what| what.starts_with("counters: ")), "{found:?}");
    run(&fresh.path(), "DELETE FROM pruned_usage WHERE key_no = 3").await;
    let found = findings(&fresh.path()).await;
    assert!(
        found.iter().any(|what| what.contains("events that were pruned: 18, and the totals")),
        "{found:?}"
    );
}
