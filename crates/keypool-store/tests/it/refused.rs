//! A file that cannot be taken is refused by name, and left byte for byte as it was.

use std::fs;
use std::path::Path;

use keypool_store::{OpenStoreError, inspect};

use crate::fresh::settings;
use crate::support::{empty, original, raw, run};

/// Tries to open the file, which must be refused, and gives the sentence.
async fn refusal(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let Err(refused) = inspect(settings(path)).await else { panic!("it was not refused") };
    let sentence = refused.to_string();
    assert!(sentence.contains(&path.canonicalize().unwrap().display().to_string()), "{sentence}");
    assert_eq!(fs::read(path).unwrap(), before, "{sentence}");
    assert!(!path.with_extension("db.v1.bak").exists());
    sentence
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.db");
    fs::write(&path, "these are my notes\n".repeat(1_000)).unwrap();
    assert!(refusal(&path).await.contains("is not a SQLite database"));
}

#[tokio::test]
async fn a_file_under_two_names() {
    let fresh = empty().await;
    fresh.store.close().await;
    fs::hard_link(fresh.path(), fresh.path().with_file_name("other.db")).unwrap();
    assert!(refusal(&fresh.path()).await.contains("has 2 names"));
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = inspect(settings(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::NotAFile { .. }), "{refused}");
}

#[tokio::test]
async fn a_database_of_a_newer_version() {
    let fresh = empty().await;
    fresh.store.close().await;
    run(&fresh.path(), "INSERT INTO schema_migrations (version, name) VALUES (99, 'later')").await;
    let sentence = refusal(&fresh.path()).await;
    assert!(
        sentence.contains("made by a newer keypooler (schema version 99; this one knows 8)"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_database_of_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.db");
    fs::write(&path, "").unwrap();
    run(&path, "CREATE TABLE recipes (name TEXT); CREATE TABLE cooks (name TEXT)").await;
    let sentence = refusal(&path).await;
    assert!(sentence.contains("is not a database of keypooler"), "{sentence}");
    assert!(sentence.contains("cooks, recipes"), "{sentence}");
}

#[tokio::test]
async fn databases_that_only_look_like_one_of_ours() {
    let cases = [
        ("DROP TABLE key_secrets", "the table key_secrets is missing"),
        (
            "ALTER TABLE keys RENAME COLUMN key_value TO worth",
            "the table keys has no column key_value",
        ),
        ("CREATE TABLE pool (water)", "the name pool, which the upgrade needs, is taken"),
        ("CREATE TABLE orphans (child)", "the name orphans, which the upgrade needs, is taken"),
        ("CREATE VIEW all_keys AS SELECT * FROM keys", "the view all_keys is not the original's"),
        ("UPDATE schema_migrations SET version = 0", "does not begin with 1"),
        ("UPDATE schema_migrations SET version = 2", "does not begin with 1"),
        ("DELETE FROM schema_migrations", "does not begin with 1"),
        (
            "INSERT INTO schema_migrations (version, name) VALUES (2, 'x')",
            "the table tiers has no column tier_no",
        ),
    ];
    for (sql, expected) in cases {
        let (_folder, path) = original(sql).await;
        let sentence = refusal(&path).await;
        assert!(sentence.contains(expected), "{sql}: {sentence}");
    }
}

#[tokio::test]
async fn a_database_with_a_damaged_page() {
    let (_folder, path) = original("SELECT 1").await;
    let mut bytes = fs::read(&path).unwrap();
    // The schema stays readable; the pages behind it are scribbled over.
    bytes[8 * 4_096..12 * 4_096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    assert!(refusal(&path).await.contains("is damaged and was left as it is"));
}

#[tokio::test]
async fn a_moment_that_decides_about_grants_and_cannot_be_read() {
    let moments = [
        "soon",
        "",
        "2026-11-23",
        "2026-11-23 16:11",
        "2026-02-30 12:00:00",
        "2026-11-23 24:00:00",
        "2026-11-23 16:11:60",
        "2026-11-23 16:11:19.",
        "2026-11-23 16:11:19.1.2",
        "2026-11-23 16:11:19 UTC",
        "2026-11-23 16:11:19+2:00",
        "2026-11-23 16:11:19+0200",
        "2026-11-23 16:11:19 +02:00",
        "2026-11-23 16:11:19 +2500 X",
        "2026-11-23 16:11:19.5 +0060",
        "2026-11-23 16:11:19 +0000UTC",
        "26-11-23 16:11:19",
        " 2026-11-23 16:11:19",
        "2026-11-23 16:11:19x",
    ];
    for moment in moments {
        let (_folder, path) = original(&format!(
            "UPDATE keys SET expires_at = '{moment}' WHERE name = 'firecrawl-02'"
        ))
        .await;
        let sentence = refusal(&path).await;
        let named = r#"expires_at of key "firecrawl-02" (id 3e888528-9e55-41a8-a72f-9621c603c69b) holds no moment"#;
        assert!(sentence.contains(named), "{moment:?}: {sentence}");
    }
    for moment in ["1795450279", "17.5", "X'00'"] {
        let sql =
            format!("UPDATE keys SET usage_window_start = {moment} WHERE name = 'serp-sealed'");
        let (_folder, path) = original(&sql).await;
        assert!(
            refusal(&path).await.contains("usage_window_start of key \"serp-sealed\""),
            "{moment}"
        );
    }
}

#[tokio::test]
async fn a_database_with_a_journal_that_is_not_folded_in() {
    let (folder, path) = original("SELECT 1").await;
    let mut other = raw(&path).await;
    let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
        UPDATE keys SET expires_at = 'never' WHERE name = 'firecrawl-01'";
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["pool.db", "pool.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let journal = fs::read(copy.path().join("pool.db-wal")).unwrap();
    assert!(
        refusal(&copy.path().join("pool.db")).await.contains("expires_at of key \"firecrawl-01\"")
    );
    assert_eq!(fs::read(copy.path().join("pool.db-wal")).unwrap(), journal);
}
