//! The file while the Go program's database is taken over: looked at, copied, upgraded, cleared of what was there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keypool_store::{Shape, inspect};

use crate::fresh::settings;
use crate::support::{dump, open, original, raw, rows};

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
