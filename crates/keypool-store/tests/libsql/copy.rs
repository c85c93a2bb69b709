//! A pool is copied whole between a SQLite file and a libSQL database, or it is not there (promise 3).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keypool_core::{ConsumerNo, KeyNo};
use keypool_store::{
    ChangeKind, CopyError, CopyProgress, CopyReport, CopyStep, NewKey, NewToken, OpenStoreError,
    Shape, SqliteSettings, Store, StoreSettings, Synchronous, copy_pool, inspect,
};
use keypool_test_server::{Fault, When};

use crate::server::Server;
use crate::support::{Draw, batch, change, consumer, draw, grant, key, original, rows, run, tier};

fn file(path: &Path) -> SqliteSettings {
    let busy_timeout = Duration::from_secs(5);
    SqliteSettings { path: path.to_owned(), synchronous: Synchronous::Normal, busy_timeout }
}

async fn open(settings: impl Into<StoreSettings>) -> Result<Store, OpenStoreError> {
    inspect(settings).await?.open().await
}

async fn copy(
    from: impl Into<StoreSettings>,
    to: impl Into<StoreSettings>,
) -> Result<CopyReport, CopyError> {
    copy_pool(from, to, |_| {}).await
}

/// Every row of every table that is to be the same in a copy, each value by its type and bytes.
async fn contents(path: &Path) -> Vec<String> {
    let tables = "SELECT 'SELECT ''' || m.name || ''''
            || group_concat(' || '' '' || typeof(' || c.name || ') || hex(' || c.name || ')', '') || ' FROM ' || m.name
        FROM sqlite_master AS m, pragma_table_info(m.name) AS c
        WHERE m.type = 'table' AND m.name NOT IN ('schema_migrations', 'replicas') GROUP BY m.name";
    let mut contents = Vec::new();
    for table in rows(path, tables).await {
        contents.extend(rows(path, &table).await);
    }
    contents.sort();
    contents
}

/// A closed file with living and deleted keys and consumers, texts of every kind, and more events than one chunk takes.
async fn pool(folder: &Path) -> PathBuf {
    let path = folder.join("source.db");
    let store = open(file(&path)).await.unwrap();
    store.issue_replica().await.unwrap();
    let features = [(1, 1_000_000, 60), (2, 1_000_000, 3_600)];
    let names = [(1, "search"), (2, "scrape: 'ü' \u{1f511}")];
    change(&store, 1, ChangeKind::AddTier(tier(1, "fire", &features, &names))).await;
    change(&store, 2, ChangeKind::AddTier(tier(2, "it's \"ice\"", &[(2, 5, 60)], &[]))).await;
    let long = "\u{1f511}".repeat(4_096);
    let secrets = (0..40).map(|n| (format!("secret {n}"), long.clone())).collect();
    let mut keys: Vec<NewKey> = (1..=450).map(key).collect();
    keys[1] = NewKey { value: long, secrets, ..key(2) };
    keys[2] = NewKey {
        name: "'); DROP TABLE keys; --".to_owned(),
        value: "a\0b".to_owned(),
        secrets: vec![("\0".to_owned(), String::new()), ("?1".to_owned(), "NULL".to_owned())],
        metadata: r#"{"a":"\u0000'\""}"#.to_owned(),
        usage_limit: Some(i64::MAX),
        ..key(3)
    };
    change(&store, 3, ChangeKind::AddKeys(keys)).await;
    change(&store, 4, ChangeKind::AddConsumer(consumer(1, "bot", &[1, 2]))).await;
    change(&store, 5, ChangeKind::AddConsumer(consumer(2, "gone", &[1]))).await;
    for part in 0..3 {
        let draws: Vec<Draw> = (0..2_000)
            .map(|n| Draw {
                consumer: i64::from(n % 3),
                ..draw(1 + i64::from(n % 7), grant(part, n))
            })
            .collect();
        store.commit_draws(&batch(6, &draws)).await.unwrap();
    }
    change(&store, 6, ChangeKind::DeleteConsumer(ConsumerNo::new(2))).await;
    change(&store, 7, ChangeKind::DeleteKey(KeyNo::new(4))).await;
    let (consumer, token_hash) = (ConsumerNo::new(1), "n\u{e9}w".to_owned());
    let next = NewToken { consumer, token_hash, overlap_secs: 60 };
    change(&store, 8, ChangeKind::IssueToken(next)).await;
    store.note_uses(&[(consumer, grant(2, 1_999))]).await.unwrap();
    store.close().await;
    // What the takeover of a column that is no UTF-8 leaves.
    run(&path, "UPDATE keys SET key_value = CAST(X'76ff00fe27' AS TEXT) WHERE key_no = 5").await;
    path
}

#[tokio::test]
async fn a_pool_comes_back_from_a_server_as_it_went_there() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source = pool(folder.path()).await;
    let (bytes, before) = (fs::read(&source).unwrap(), contents(&source).await);
    let expected = 2 + 2 + 3 + 450 + 42 + 3 + 1 + 1 + 2 + 6_000 + 450 + 6 + 8 + 8 + 1;
    assert_eq!(before.len(), expected);

    let mut seen = Vec::new();
    let report = copy_pool(file(&source), server.settings(), |it| seen.push(it)).await.unwrap();
    assert!(report.tables.contains(&("usage_events", 6_000)), "{report:?}");
    assert!(report.tables.contains(&("keys", 450)) && report.tables.contains(&("consumers", 3)));
    let of = report.tables.iter().map(|(_, rows)| rows).sum();
    let at_end = |step| CopyProgress { step, table: "orphans", rows: of, of };
    assert!(seen.contains(&at_end(CopyStep::Copy)));
    assert_eq!(seen.last(), Some(&at_end(CopyStep::Compare)));
    let mostly: Vec<_> = seen.iter().filter(|it| it.table == "usage_events").collect();
    assert!(mostly.len() > 4 && mostly.windows(2).all(|pair| pair[0] != pair[1]), "{mostly:?}");
    assert_eq!(fs::read(&source).unwrap(), bytes);
    assert_eq!(contents(&server.path()).await, before);

    let back = folder.path().join("back.db");
    assert_eq!(copy(server.settings(), file(&back)).await.unwrap(), report);
    assert_eq!(contents(&back).await, before);
    let schema = "SELECT type || name || coalesce(sql, '') FROM sqlite_master ORDER BY 1";
    assert_eq!(rows(&back, schema).await, rows(&source, schema).await);

    // Both go on where the source stood, under a replica's number that nobody had.
    for store in [server.open().await, open(file(&back)).await.unwrap()] {
        assert_eq!(store.check_counters().await.unwrap(), []);
        assert_eq!(store.issue_replica().await.unwrap().get(), 2);
        store.commit_draws(&batch(9, &[draw(1, grant(9, 0))])).await.unwrap();
        change(&store, 9, ChangeKind::AddKeys(vec![key(451)])).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_pool_is_copied_from_file_to_file_and_from_server_to_server() {
    let (one, other) = (Server::start().await, Server::start().await);
    let folder = tempfile::tempdir().unwrap();
    let source = pool(folder.path()).await;
    let second = folder.path().join("new/second.db");
    copy(file(&source), file(&second)).await.unwrap();
    assert_eq!(contents(&second).await, contents(&source).await);
    copy(file(&second), one.settings()).await.unwrap();
    copy(one.settings(), other.settings()).await.unwrap();
    assert_eq!(contents(&other.path()).await, contents(&source).await);
}

#[tokio::test]
async fn what_was_taken_over_stays_with_its_tombstones_and_orphans() {
    let odd = "INSERT INTO key_secrets VALUES ('k-gone', 's', 'lost''s'), ('k-gone', X'ff', X'ff00');
        INSERT INTO tier_features VALUES ('gone', 'lost', 1, 1);
        INSERT INTO keys (id, name, key_value, tier_id) VALUES (NULL, '', X'76ff', 'gone');
        INSERT INTO usage_events (id, key_id, consumer_id, feature, created_at) VALUES
            ('e1', 'k-lost', 'c-lost', 'forgotten', '2026-11-25 00:00:00'), ('e2', 'k-lost', NULL, '', 'some time'),
            ('e3', 'k-lost', 'admin', 'x', '1960-01-01 00:00:00')";
    let (_folder, path) = original(odd).await;
    let (server, back) = (Server::start().await, path.with_file_name("back.db"));
    let refused = copy(file(&path), server.settings()).await.unwrap_err();
    assert!(matches!(refused, CopyError::Schema { found: 1, .. }), "{refused:?}");
    assert!(refused.to_string().contains("keypooler migrate"), "{refused}");
    open(file(&path)).await.unwrap().close().await;
    let report = copy(file(&path), server.settings()).await.unwrap();
    assert!(report.tables.contains(&("orphans", 3)), "{report:?}");
    copy(server.settings(), file(&back)).await.unwrap();
    assert_eq!(contents(&back).await, contents(&path).await);
}

#[tokio::test]
async fn a_place_that_holds_something_is_left_as_it_is() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source = pool(folder.path()).await;
    server.open().await.close().await;
    let before = contents(&server.path()).await;
    let refused = copy(file(&source), server.settings()).await;
    assert!(matches!(refused, Err(CopyError::Taken { .. })), "{refused:?}");
    assert_eq!(contents(&server.path()).await, before);

    let (_folder, of_go) = original("SELECT 1").await;
    let other = folder.path().join("other.db");
    fs::write(&other, "").unwrap();
    run(&other, "CREATE TABLE recipes (name)").await;
    let text = folder.path().join("text.db");
    fs::write(&text, "not a database, and longer than SQLite's header of 100 bytes. ".repeat(3))
        .unwrap();
    for taken in [of_go, other, text] {
        let bytes = fs::read(&taken).unwrap();
        let refused = copy(file(&source), file(&taken)).await;
        assert!(matches!(refused, Err(CopyError::Taken { .. } | CopyError::To(_))), "{refused:?}");
        assert_eq!(fs::read(&taken).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_source_that_is_none_is_told_and_nothing_is_made() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let (nowhere, to) = (folder.path().join("a/nowhere.db"), folder.path().join("b/to.db"));
    for refused in [copy(file(&nowhere), file(&to)).await, copy(server.settings(), file(&to)).await]
    {
        assert!(matches!(refused, Err(CopyError::Nothing { .. })), "{refused:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let served = folder.path().join("served.db");
    let store = open(file(&served)).await.unwrap();
    let refused = copy(file(&served), file(&to)).await;
    assert!(matches!(refused, Err(CopyError::From(OpenStoreError::Served { .. }))), "{refused:?}");
    assert!(!to.exists());
    store.close().await;
    fs::create_dir(folder.path().join("c")).unwrap();
    let refused = copy(file(&served), file(&folder.path().join("c/../served.db"))).await;
    assert!(matches!(refused, Err(CopyError::Same { .. })), "{refused:?}");
}

/// What a copy that was cut off may leave: nothing, or what nobody can open; and the next one succeeds.
async fn assert_begins_anew(server: &Server, source: &Path, before: &[String]) {
    let left = server.inspect(|settings| settings).await.unwrap();
    if left.shape() != Shape::Empty {
        let refused = left.open().await.map(drop);
        assert!(matches!(refused, Err(OpenStoreError::Unfinished { .. })), "{refused:?}");
        assert!(keypool_store::schema_status(server.settings()).await.unwrap().is_unfinished);
        let refused = copy(server.settings(), file(&source.with_file_name("third.db"))).await;
        assert!(matches!(refused, Err(CopyError::Unfinished { .. })), "{refused:?}");
    }
    copy(file(source), server.settings()).await.unwrap();
    assert_eq!(contents(&server.path()).await, before);
}

#[tokio::test]
async fn a_copy_that_was_cut_off_is_refused_and_begun_anew() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source = pool(folder.path()).await;
    let (bytes, before) = (fs::read(&source).unwrap(), contents(&source).await);
    let late = When::always().matching("previous) SELECT value").after(1);
    let cut = server.faults().inject(Fault::Refuse, late);
    let failed = copy(file(&source), server.settings()).await;
    assert!(matches!(failed, Err(CopyError::Write { .. })), "{failed:?}");
    cut.remove();
    assert_eq!(fs::read(&source).unwrap(), bytes);
    assert_begins_anew(&server, &source, &before).await;
}

#[tokio::test]
async fn at_whatever_request_it_is_cut_off_the_copy_is_whole_or_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("small.db");
    open(file(&source)).await.unwrap().close().await;
    let before = contents(&source).await;
    for fault in [Fault::Refuse, Fault::DropAnswer] {
        for request in 0.. {
            assert!(request < 200, "it never ends");
            let server = Server::start().await;
            let cut = server.faults().inject(fault, When::always().after(request));
            let outcome = copy(file(&source), server.settings()).await;
            cut.remove();
            if outcome.is_ok() {
                assert_eq!(contents(&server.path()).await, before);
                break;
            }
            let left = server.inspect(|settings| settings).await.unwrap();
            if left.shape() == Shape::Empty || left.open().await.is_err() {
                assert_begins_anew(&server, &source, &before).await;
            } else {
                assert_eq!(fault, Fault::DropAnswer, "what was not begun is not finished");
                assert_eq!(contents(&server.path()).await, before);
            }
        }
    }
}

#[tokio::test]
async fn what_was_sent_for_an_earlier_copy_arrives_no_more() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source = folder.path().join("small.db");
    let store = open(file(&source)).await.unwrap();
    change(&store, 1, ChangeKind::AddTier(tier(1, "fire", &[(1, 1, 1)], &[(1, "search")]))).await;
    store.close().await;
    let before = contents(&source).await;
    let first = When::once()
        .matching("tier_features (tier_no, feature_no, rate_limit, window_secs) SELECT value");
    let late = server.faults().inject(Fault::ActLate(Duration::from_secs(1)), first);
    copy(file(&source), server.settings()).await.unwrap_err();
    assert_eq!(late.hits(), 1);
    let mut is_first = true;
    copy_pool(file(&source), server.settings(), |it| {
        // The old rows come while the table that they belong to is empty and those that they refer to are there.
        if it.table == "tier_features" && std::mem::take(&mut is_first) {
            std::thread::sleep(Duration::from_millis(1_500));
        }
    })
    .await
    .unwrap();
    assert_eq!(contents(&server.path()).await, before);
}

#[tokio::test]
async fn of_two_copies_into_one_place_the_earlier_gives_up() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source = pool(folder.path()).await;
    let (path, mut is_first) = (server.path(), true);
    let overtaken = copy_pool(file(&source), server.settings(), |it| {
        if it.table == "usage_events" && std::mem::take(&mut is_first) {
            run_now(&path, "UPDATE pool SET revision = 7 WHERE is_copying = 1");
        }
    })
    .await;
    assert!(matches!(overtaken, Err(CopyError::Overtaken { .. })), "{overtaken:?}");
}

#[tokio::test]
async fn a_source_that_is_written_to_meanwhile_is_noticed() {
    let changes = [
        "UPDATE pool SET revision = revision + 1",
        "UPDATE pool SET last_replica = last_replica + 1",
        "INSERT INTO usage_events VALUES (9223372036854775807, 1, 0, 1, NULL)",
        "INSERT INTO usage_events VALUES (1, 1, 0, 1, NULL)",
    ];
    let folder = tempfile::tempdir().unwrap();
    for change in changes {
        for when in [CopyStep::Copy, CopyStep::Compare] {
            let (from, to) = (Server::start().await, folder.path().join("to.db"));
            copy(file(&pool(folder.path()).await), from.settings()).await.unwrap();
            let (path, mut is_first) = (from.path(), true);
            let moved = copy_pool(from.settings(), file(&to), |it| {
                if it.step == when && it.table == "rate_counters" && std::mem::take(&mut is_first) {
                    run_now(&path, change);
                }
            })
            .await;
            assert!(matches!(moved, Err(CopyError::Moved { .. })), "{change}: {moved:?}");
            assert!(matches!(open(file(&to)).await, Err(OpenStoreError::Unfinished { .. })));
            for file in fs::read_dir(folder.path()).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_differs_is_found_and_nothing_of_it_is_told() {
    let alterations = [
        ("keys", "UPDATE keys SET key_value = 'hush' WHERE key_no = 450"),
        ("key_secrets", "UPDATE key_secrets SET value = 'hush' WHERE name = '?1'"),
        ("keys", "UPDATE keys SET metadata = NULL, deleted_ms = 1 WHERE key_no = 450"),
        ("consumer_scopes", "DELETE FROM consumer_scopes WHERE tier_no = 2"),
        ("usage_events", "INSERT INTO usage_events VALUES (9223372036854775807, 1, 0, 1, NULL)"),
        ("orphans", "INSERT INTO orphans VALUES (1, 'hush', 'hush')"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let source = pool(folder.path()).await;
    for (table, alteration) in alterations {
        let server = Server::start().await;
        let (path, mut is_first) = (server.path(), true);
        let different = copy_pool(file(&source), server.settings(), |it| {
            if it.step == CopyStep::Compare && std::mem::take(&mut is_first) {
                run_now(&path, alteration);
            }
        })
        .await
        .unwrap_err();
        let is_found = matches!(different, CopyError::Different { table: found } if found == table);
        assert!(is_found, "{alteration}: {different:?}");
        assert!(!format!("{different} {different:?}").contains("hush"), "{different:?}");
        let refused = server.inspect(|settings| settings).await.unwrap().open().await;
        assert!(matches!(refused, Err(OpenStoreError::Unfinished { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn counters_that_are_off_in_the_source_are_told() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source = pool(folder.path()).await;
    run(&source, "UPDATE budget_counters SET used = used + 1 WHERE key_no = 2").await;
    let told = copy(file(&source), server.settings()).await;
    let is_told = matches!(&told, Err(CopyError::Counters { count: 1, key }) if key == "key-2");
    assert!(is_told, "{told:?}");
}

/// Runs SQL past the store, out of a function that cannot wait.
fn run_now(path: &Path, sql: &'static str) {
    let path = path.to_owned();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&path, sql));
    };
    std::thread::spawn(run).join().unwrap();
}
