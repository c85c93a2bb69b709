//! How a database file is made, locked, set up and opened again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keypool_store::{OpenStoreError, Shape, SqliteSettings, Synchronous, inspect, schema_status};

use crate::fresh::settings;
use crate::support::{
    batch, draw, dump, empty, grant, is_recorded, open, original, rows, run, seeded,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_missing_file_is_made_with_its_folder_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/of/the pool?x=1#y.db");
    let prospect = inspect(settings(&path)).await.unwrap();
    assert_eq!(prospect.shape(), Shape::Empty);
    let store = prospect.open().await.unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = format!("{}{suffix}", path.display());
        assert_eq!(mode(Path::new(&file)), 0o600, "{file}");
    }
    store.close().await;
    assert_eq!(inspect(settings(&path)).await.unwrap().shape(), Shape::Version(8));
}

#[tokio::test]
async fn a_second_server_on_the_file_is_refused_by_name_whatever_way_leads_there() {
    let fresh = empty().await;
    let link = fresh.folder.path().join("link.db");
    std::os::unix::fs::symlink(fresh.path(), &link).unwrap();
    for path in [fresh.path(), link] {
        let refused = inspect(settings(&path)).await.unwrap_err();
        assert!(matches!(refused, OpenStoreError::Served { .. }), "{refused}");
        let file = fresh.path().canonicalize().unwrap();
        let sentence = format!("another keypooler is serving the database {}: ", file.display());
        assert!(refused.to_string().starts_with(&sentence), "{refused}");
    }
    fresh.store.close().await;
    open(&fresh.path()).await;
}

#[tokio::test]
async fn an_inspected_file_is_locked_until_it_is_let_go() {
    let fresh = empty().await;
    fresh.store.close().await;
    let prospect = inspect(settings(&fresh.path())).await.unwrap();
    assert!(matches!(inspect(settings(&fresh.path())).await, Err(OpenStoreError::Served { .. })));
    drop(prospect);
    assert!(inspect(settings(&fresh.path())).await.is_ok());
}

#[tokio::test]
async fn either_durability_can_be_had() {
    let folder = tempfile::tempdir().unwrap();
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let asked = SqliteSettings { synchronous, ..settings(&folder.path().join("pool.db")) };
        inspect(asked).await.unwrap().open().await.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_wide_open_file_keeps_its_mode() {
    let fresh = empty().await;
    fresh.store.close().await;
    fs::set_permissions(fresh.path(), fs::Permissions::from_mode(0o644)).unwrap();
    open(&fresh.path()).await.close().await;
    assert_eq!(mode(&fresh.path()), 0o644);
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let fresh = seeded().await;
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
    let before = dump(&fresh.path()).await;
    fresh.store.close().await;
    open(&fresh.path()).await.close().await;
    assert_eq!(dump(&fresh.path()).await, before);
}

#[tokio::test]
async fn what_was_written_is_there_when_the_process_ends_without_closing() {
    let fresh = seeded().await;
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
    // What kill -9 leaves: the file and its journal, as they are.
    let copy = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("pool.db{suffix}");
        fs::copy(fresh.folder.path().join(&name), copy.path().join(&name)).unwrap();
    }
    let before = fs::read(copy.path().join("pool.db")).unwrap();
    let mut prospect = inspect(settings(&copy.path().join("pool.db"))).await.unwrap();
    assert_eq!(prospect.values().await.unwrap().len(), 3);
    drop(prospect);
    assert_eq!(fs::read(copy.path().join("pool.db")).unwrap(), before, "looking changes nothing");
    let store = open(&copy.path().join("pool.db")).await;
    assert!(is_recorded(&store, grant(1, 0)).await);
    assert_eq!(store.load().await.unwrap(), fresh.store.load().await.unwrap());
}

#[tokio::test]
async fn an_upgrade_that_was_cut_off_before_its_end_is_ended_at_the_next_start() {
    let fresh = seeded().await;
    fresh.store.close().await;
    assert_eq!(rows(&fresh.path(), "SELECT CAST(tidy_due AS TEXT) FROM pool").await, ["0"]);
    let left =
        "CREATE TABLE bulk (x); INSERT INTO bulk VALUES (zeroblob(1000000)); DROP TABLE bulk;
        UPDATE pool SET tidy_due = 1";
    run(&fresh.path(), left).await;
    assert!(fs::metadata(fresh.path()).unwrap().len() > 1_000_000);
    let store = open(&fresh.path()).await;
    assert!(
        fs::metadata(fresh.path()).unwrap().len() < 500_000,
        "rebuilt without what was left behind"
    );
    assert_eq!(rows(&fresh.path(), "SELECT CAST(tidy_due AS TEXT) FROM pool").await, ["0"]);
    assert_eq!(store.load().await.unwrap().keys.len(), 3);
}

#[tokio::test]
async fn the_schema_status_says_what_is_there_and_what_is_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let missing = schema_status(settings(&folder.path().join("none.db"))).await.unwrap();
    assert_eq!((missing.shape, missing.applied.len(), missing.pending.len()), (Shape::Empty, 0, 8));
    assert!(!folder.path().join("none.db").exists());

    let (_folder, path) = original("SELECT 1").await;
    let before = fs::read(&path).unwrap();
    let status = schema_status(settings(&path)).await.unwrap();
    assert_eq!(status.shape, Shape::Version(1));
    let applied = &status.applied[0];
    assert_eq!(
        (applied.version, applied.name.as_str(), applied.applied_at.as_str()),
        (1, "init", "2026-11-23 16:11:18")
    );
    assert_eq!((status.pending[0].version, status.pending[0].name.as_str()), (2, "keypooler"));
    assert_eq!(fs::read(&path).unwrap(), before);

    let fresh = empty().await;
    let status = schema_status(settings(&fresh.path())).await.unwrap();
    assert_eq!(
        (status.shape, status.applied.len(), status.pending),
        (Shape::Version(8), 8, Vec::new())
    );
}

/// What is in the journal would be lost with the first write to a new file.
#[tokio::test]
async fn a_journal_without_its_database_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.db");
    let journal = folder.path().join("pool.db-wal");
    fs::write(&journal, "what was committed").unwrap();
    let refused = inspect(settings(&path)).await.unwrap_err();
    let refused = format!("{:?}", with_causes(&refused));
    assert!(refused.contains("pool.db-wal lies there without its database"), "{refused}");
    assert!(!path.exists());
    assert_eq!(fs::read_to_string(journal).unwrap(), "what was committed");
}

/// Nobody is granted a key that is recorded in a file which is gone.
#[tokio::test]
async fn a_file_that_is_gone_is_not_written_to() {
    let fresh = seeded().await;
    let aside = fresh.folder.path().join("aside.db");
    fs::rename(fresh.path(), &aside).unwrap();
    let gone = fresh.store.commit_draws(&batch(5, &[])).await;
    assert!(gone.is_err(), "nothing is recorded");
    fs::rename(&aside, fresh.path()).unwrap();
    fresh.store.commit_draws(&batch(5, &[])).await.unwrap();
}

/// An error with all its causes.
fn with_causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}
