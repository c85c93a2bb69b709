//! A backup holds what was committed before it began and is there whole or not at all; restored, it is what the pool was,
//! with nobody left who could write under an old number (promise 3).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keypool_store::{
    BackupError, Existing, OpenStoreError, RestoreError, RestorePlace, RestoreReport, Store,
    backup, verify,
};

use crate::fresh::{empty, open, settings};
use crate::support::{Draw, Fresh, batch, draw, dump, grant, original, rows, seeded};

async fn back_up(fresh: &Fresh, name: &str) -> Result<PathBuf, BackupError> {
    let to = fresh.folder.path().join(name);
    backup(settings(&fresh.path()), &to, |_| {}).await.map(|_| to)
}

async fn restore(
    from: &Path,
    to: &Path,
    existing: Existing,
) -> Result<RestoreReport, RestoreError> {
    RestorePlace::take(settings(to), existing).await?.put(from).await
}

/// Everything but who may write and where the file is.
async fn contents(path: &Path) -> Vec<String> {
    let mut contents = dump(path).await;
    contents.retain(|row| !row.starts_with("replicas: "));
    contents
}

async fn drawn(store: &Store, count: i64) {
    let draws: Vec<Draw> = (0..count).map(|n| draw(1, grant(n, 0))).collect();
    store.commit_draws(&batch(5, &draws)).await.unwrap();
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_of_a_pool_in_use_is_the_pool() {
    let fresh = seeded().await;
    drawn(&fresh.store, 30).await;
    let before = names(fresh.folder.path());
    let copy = back_up(&fresh, "b.db").await.unwrap();

    assert_eq!(dump(&copy).await, dump(&fresh.path()).await);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let found = verify(settings(&copy), |_| {}).await.unwrap();
    assert_eq!((found.findings, found.rows.unwrap().usage_events), (vec![], 30));
    // Nothing else is left beside it: no journal, nothing unfinished.
    let mut expected = [before, vec!["b.db".to_owned()]].concat();
    expected.sort();
    assert_eq!(names(fresh.folder.path()), expected);
    // The pool goes on.
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(99, 0))])).await.unwrap();
}

#[tokio::test]
async fn a_backup_under_writes_holds_what_was_committed_before_it_began() {
    let fresh = seeded().await;
    for round in 0..5 {
        let acknowledged = i64::from(round) * 40;
        let writes = async {
            for n in 0..40 {
                let draws = [draw(1, grant(acknowledged + n, 0))];
                fresh.store.commit_draws(&batch(5, &draws)).await.unwrap();
            }
        };
        let name = format!("b{round}.db");
        let ((), copy) = tokio::join!(writes, back_up(&fresh, &name));
        let found = verify(settings(&copy.unwrap()), |_| {}).await.unwrap();
        assert_eq!(found.findings, []);
        assert!(found.rows.unwrap().usage_events >= acknowledged);
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_left_as_it_is() {
    let fresh = seeded().await;
    fs::write(fresh.folder.path().join("taken"), "precious").unwrap();
    let refused = back_up(&fresh, "taken").await;
    assert!(matches!(refused, Err(BackupError::Taken { .. })), "{refused:?}");
    assert_eq!(fs::read(fresh.folder.path().join("taken")).unwrap(), b"precious");
    let refused = back_up(&fresh, "no/such/folder").await;
    assert!(matches!(refused, Err(BackupError::File { .. })), "{refused:?}");
}

#[tokio::test]
async fn nothing_is_no_pool_to_back_up() {
    let fresh = empty().await;
    let missing = settings(&fresh.folder.path().join("none.db"));
    let refused = backup(missing, &fresh.folder.path().join("b.db"), |_| {}).await;
    assert!(matches!(refused, Err(BackupError::Nothing { .. })), "{refused:?}");
    assert!(!fresh.folder.path().join("b.db").exists());
}

#[tokio::test]
async fn a_damaged_pool_gives_no_backup() {
    let fresh = seeded().await;
    drawn(&fresh.store, 900).await;
    fresh.store.close().await;
    let mut bytes = fs::read(fresh.path()).unwrap();
    let torn = bytes.len() - 8_192..;
    bytes[torn].fill(0x5a);
    fs::write(fresh.path(), bytes).unwrap();
    let refused = back_up(&fresh, "b.db").await;
    let error = refused.expect_err("a damaged pool was backed up");
    assert!(matches!(error, BackupError::Write { .. } | BackupError::Damaged { .. }), "{error:?}");
    assert!(
        !names(fresh.folder.path())
            .iter()
            .any(|name| name.contains("b.db") || name.contains("unfinished"))
    );
}

#[tokio::test]
async fn a_restored_pool_is_what_was_backed_up_and_nobody_writes_under_an_old_number() {
    let fresh = seeded().await;
    drawn(&fresh.store, 30).await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    let expected = contents(&copy).await;
    drawn_later(&fresh.store).await;

    let place = fresh.folder.path().join("new/pool.db");
    let report = restore(&copy, &place, Existing::Refuse).await.unwrap();
    assert_eq!(report.kept_aside, None);
    assert_eq!(contents(&place).await, expected);
    assert_eq!(rows(&place, "SELECT '' || count(*) FROM replicas").await, ["0"]);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&fresh.folder.path().join("new")), ["pool.db", "pool.db.lock"]);

    let store = open(&place).await;
    store.issue_replica().await.unwrap();
    drawn_later(&store).await;
    assert_eq!(store.check_counters().await.unwrap(), []);
}

async fn drawn_later(store: &Store) {
    store.commit_draws(&batch(5, &[draw(1, grant(5_000, 0))])).await.unwrap();
}

#[tokio::test]
async fn what_is_in_place_is_left_alone_or_kept_aside() {
    let fresh = seeded().await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    let served = restore(&copy, &fresh.path(), Existing::KeepAside).await;
    let is_served =
        |error: &RestoreError| matches!(error, RestoreError::Open(OpenStoreError::Served { .. }));
    assert!(served.as_ref().is_err_and(is_served), "{served:?}");
    drawn(&fresh.store, 3).await;
    fresh.store.close().await;
    let before = fs::read(fresh.path()).unwrap();
    let refused = restore(&copy, &fresh.path(), Existing::Refuse).await;
    assert!(matches!(refused, Err(RestoreError::Taken { .. })), "{refused:?}");
    assert_eq!(fs::read(fresh.path()).unwrap(), before);

    let aside = |name: &str| fresh.folder.path().canonicalize().unwrap().join(name);
    let kept = restore(&copy, &fresh.path(), Existing::KeepAside).await.unwrap().kept_aside;
    assert_eq!(kept, Some(aside("pool.db.before-restore")));
    assert_eq!(fs::read(kept.unwrap()).unwrap(), before);
    assert_eq!(contents(&fresh.path()).await, contents(&copy).await);
    let kept = restore(&copy, &fresh.path(), Existing::KeepAside).await.unwrap().kept_aside;
    assert_eq!(kept, Some(aside("pool.db.before-restore.2")));
    let metadata = fs::metadata(fresh.path()).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&metadata), 1);
}

/// Killed between giving the old file its second name and taking away the first.
#[tokio::test]
async fn a_restore_that_was_cut_off_keeps_nobody_from_the_pool() {
    let fresh = seeded().await;
    drawn(&fresh.store, 3).await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    fresh.store.close().await;
    let aside = fresh.folder.path().join("pool.db.before-restore");
    fs::hard_link(fresh.path(), &aside).unwrap();
    let kept = restore(&copy, &fresh.path(), Existing::KeepAside).await.unwrap().kept_aside;
    assert_eq!(kept.unwrap().file_name(), aside.file_name());

    fs::hard_link(fresh.path(), fresh.folder.path().join("pool.db.before-restore.2")).unwrap();
    open(&fresh.path()).await.close().await;
    assert!(!fresh.folder.path().join("pool.db.before-restore.2").exists());
    assert!(aside.exists(), "it is another file");
}

/// What is in the journal belongs to the file: without somebody to fold it in, the one would be without the other for a moment.
#[tokio::test]
async fn while_somebody_reads_the_database_it_is_not_replaced() {
    let fresh = seeded().await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    let mut reader = crate::support::raw(&fresh.path()).await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM keys").execute(&mut reader).await.unwrap();
    drawn(&fresh.store, 3).await;
    fresh.store.close().await;
    let refused = restore(&copy, &fresh.path(), Existing::KeepAside).await;
    assert!(matches!(refused, Err(RestoreError::File { .. })), "{refused:?}");
    sqlx::Connection::close(reader).await.unwrap();
    assert_eq!(rows(&fresh.path(), "SELECT '' || count(*) FROM usage_events").await, ["3"]);
    let kept = restore(&copy, &fresh.path(), Existing::KeepAside).await.unwrap().kept_aside;
    assert_eq!(rows(&kept.unwrap(), "SELECT '' || count(*) FROM usage_events").await, ["3"]);
}

/// Whoever may write to the folder has no hand in what root does there.
#[tokio::test]
async fn a_lock_that_is_a_link_is_refused_and_what_it_names_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let lock = folder.path().join("pool.db.lock");
    for is_symlink in [true, false] {
        fs::write(&other, "somebody's").unwrap();
        if is_symlink {
            std::os::unix::fs::symlink(&other, &lock).unwrap();
        } else {
            fs::hard_link(&other, &lock).unwrap();
        }
        let refused =
            RestorePlace::take(settings(&folder.path().join("pool.db")), Existing::Refuse);
        assert!(refused.await.is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "somebody's");
        fs::remove_file(&lock).unwrap();
    }
}

/// Whoever restores as root leaves a pool that its service can open.
#[tokio::test]
async fn what_root_restores_belongs_to_whom_it_belonged() {
    let owner = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (
            std::os::unix::fs::MetadataExt::uid(&metadata),
            std::os::unix::fs::MetadataExt::gid(&metadata),
        )
    };
    let fresh = seeded().await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    fresh.store.close().await;
    if owner(&copy).0 != 0 {
        // Nobody else can give a file away.
        return;
    }
    let lock = PathBuf::from(format!("{}.lock", fresh.path().display()));
    std::os::unix::fs::chown(fresh.path(), Some(65_532), Some(65_533)).unwrap();
    restore(&copy, &fresh.path(), Existing::KeepAside).await.unwrap();
    assert_eq!([owner(&fresh.path()), owner(&lock)], [(65_532, 65_533); 2]);

    let folder = fresh.folder.path().join("new");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(65_532), Some(65_533)).unwrap();
    restore(&copy, &folder.join("pool.db"), Existing::Refuse).await.unwrap();
    assert_eq!(owner(&folder.join("pool.db")), (65_532, 65_533));
}

#[tokio::test]
async fn what_a_killed_server_left_in_its_journal_is_kept_aside_too() {
    let fresh = seeded().await;
    drawn(&fresh.store, 7).await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    let killed = fresh.folder.path().join("killed.db");
    for suffix in ["", "-wal"] {
        let file = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(file(&fresh.path()), file(&killed)).unwrap();
    }
    assert!(fs::metadata(format!("{}-wal", killed.display())).unwrap().len() > 0);

    let kept = restore(&copy, &killed, Existing::KeepAside).await.unwrap().kept_aside.unwrap();
    assert!(!Path::new(&format!("{}-wal", killed.display())).exists());
    assert_eq!(rows(&kept, "SELECT '' || count(*) FROM usage_events").await, ["7"]);
    assert_eq!(contents(&killed).await, contents(&copy).await);
}

#[tokio::test]
async fn a_damaged_file_with_its_journal_is_kept_as_it_is() {
    let fresh = seeded().await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    let damaged = fresh.folder.path().join("damaged.db");
    let journal = fresh.folder.path().join("damaged.db-wal");
    fs::write(&damaged, "what is left of it").unwrap();
    fs::write(&journal, "and of its journal").unwrap();
    let kept = restore(&copy, &damaged, Existing::KeepAside).await.unwrap().kept_aside.unwrap();
    assert_eq!(fs::read(&kept).unwrap(), b"what is left of it");
    assert!(!journal.exists());
    assert_eq!(contents(&damaged).await, contents(&copy).await);

    // A journal beside nothing is something, too: it must not be played into the backup.
    let empty = fresh.folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    fs::write(fresh.folder.path().join("empty.db-wal"), "a journal").unwrap();
    let refused = restore(&copy, &empty, Existing::Refuse).await;
    assert!(matches!(refused, Err(RestoreError::Taken { .. })), "{refused:?}");
    restore(&copy, &empty, Existing::KeepAside).await.unwrap();
    assert!(!fresh.folder.path().join("empty.db-wal").exists());
    assert_eq!(contents(&empty).await, contents(&copy).await);
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_restored_as_it_is() {
    let (folder, path) = original("").await;
    let copy = folder.path().join("b.db");
    backup(settings(&path), &copy, |_| {}).await.unwrap();
    let place = folder.path().join("new.db");
    assert_eq!(restore(&copy, &place, Existing::Refuse).await.unwrap().schema_version, 1);
    assert_eq!(dump(&place).await, dump(&path).await);
    open(&place).await.close().await;
}

#[tokio::test]
async fn a_backup_is_not_restored_to_itself_and_nothing_is_not_restored() {
    let fresh = seeded().await;
    let copy = back_up(&fresh, "b.db").await.unwrap();
    let before = fs::read(&copy).unwrap();
    let same = restore(&copy, &copy, Existing::KeepAside).await;
    assert!(matches!(same, Err(RestoreError::Same { .. })), "{same:?}");
    assert_eq!(fs::read(&copy).unwrap(), before);
    fs::write(fresh.folder.path().join("none.db"), "").unwrap();
    for name in ["missing.db", "none.db"] {
        let place = fresh.folder.path().join("new.db");
        let nothing = restore(&fresh.folder.path().join(name), &place, Existing::Refuse).await;
        assert!(matches!(nothing, Err(RestoreError::Nothing { .. })), "{name}: {nothing:?}");
        assert_eq!(fs::metadata(&place).unwrap().len(), 0);
    }
}
