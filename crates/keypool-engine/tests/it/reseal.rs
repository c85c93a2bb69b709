//! Values get a new seal at rest, beside a server that goes on serving, and nothing of what was there before is left.

use std::sync::Arc;
use std::time::Duration;

use keypool_engine::{
    EncryptionKey, Engine, EngineSettings, NewKey, OtherKeys, Plain, Refusal, ResealError,
    SealCounts, SealReport, Sealer, SqliteSettings, Synchronous, check_seals, reseal,
};

use crate::support::*;

fn encryption_key(digit: char) -> EncryptionKey {
    EncryptionKey::parse_hex(&digit.to_string().repeat(64)).unwrap()
}

/// What a server and a reseal have whose key is `b` and was `a` before.
fn sealer() -> Sealer {
    Sealer::with_key(encryption_key('b')).opening_previous(encryption_key('a'))
}

async fn run(home: &Home) -> Result<u64, ResealError> {
    let settings = home.settings(Sealer::plain());
    reseal(settings.store, &sealer(), &settings.clock, |_, _| {}).await
}

async fn check(home: &Home) -> SealReport {
    check_seals(home.settings(Sealer::plain()).store, &sealer()).await.unwrap()
}

/// A value whose parts are found wherever they are left.
fn marked(n: usize) -> String {
    format!("MARK{n:05}MARK").repeat(1 + n % 23)
}

/// Keys `1..=keys` with marked values and, each second one, a marked secret.
async fn add_marked(engine: &Engine, keys: std::ops::RangeInclusive<usize>) {
    let key = |n: usize| NewKey {
        value: Plain::from(marked(n)),
        metadata: Some(format!(r#"{{"pad":"{}"}}"#, "x".repeat(n * 7 % 401))),
        secrets: if n.is_multiple_of(2) {
            vec![("s".to_owned(), Plain::from(marked(n + 1)))]
        } else {
            Vec::new()
        },
        ..key(&format!("k{n}"), "t")
    };
    engine.add_keys(&origin(), keys.map(key).collect()).await.unwrap();
}

async fn execute(home: &Home, sql: &str) {
    let mut intruder = home.intruder().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut intruder).await.unwrap();
}

#[tokio::test]
async fn everything_is_sealed_under_the_current_key_beside_a_server_that_draws() {
    let home = Home::new();
    let engine = with_keys(&home, 40, None).await;
    engine.close().await;
    let engine = home.try_open(Sealer::with_key(encryption_key('a'))).await.unwrap();
    add_marked(&engine, 41..=200).await;
    engine.close().await;
    // With the time that a server waits for whoever else writes.
    let store = SqliteSettings {
        path: home.path.clone(),
        synchronous: Synchronous::Full,
        busy_timeout: Duration::from_secs(5),
    };
    let settings = EngineSettings { store: store.into(), ..home.settings(sealer()) };
    let server = Engine::open(settings).await.unwrap();
    let counts = SealCounts { previous: 160 + 80, plain: 40, ..SealCounts::default() };
    assert_eq!(check(&home).await.counts, counts);

    let draws = async {
        for _ in 0..300 {
            draw(&server, "f").await.unwrap();
        }
    };
    let (resealed, ()) = tokio::join!(run(&home), draws);
    assert_eq!(resealed.unwrap(), 280);
    let report = check(&home).await;
    assert_eq!(report.counts, SealCounts { current: 280, ..SealCounts::default() });
    assert!(report.is_well());
    assert_eq!(run(&home).await.unwrap(), 0);
    server.close().await;

    // The key before is not needed any more, and nobody lost a value.
    let server =
        home.try_open(Sealer::with_key(encryption_key('b')).refusing_plain_text()).await.unwrap();
    let mut drawn: Vec<String> = Vec::new();
    for _ in 0..200 {
        drawn.push(value(&server, "f").await);
    }
    drawn.sort();
    let mut added: Vec<String> =
        (1..=40).map(|n| format!("value-of-k{n}")).chain((41..=200).map(marked)).collect();
    added.sort();
    assert_eq!(drawn, added);
    assert_counters_equal_events(&home).await;
    server.close().await;
}

#[tokio::test]
async fn nothing_of_plain_text_is_left_in_the_file_and_its_journal() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    for n in 0..16 {
        add_marked(&engine, n * 50 + 1..=n * 50 + 50).await;
    }
    for key in engine.keys().await.iter().skip(100).step_by(9) {
        engine.delete_key(&origin(), &key.id).await.unwrap();
    }
    engine.close().await;
    // Rows that grow move to other pages, and leave their bytes in the gaps.
    for n in 0..8 {
        execute(
            &home,
            &format!(
                "PRAGMA secure_delete = ON;
                UPDATE keys SET metadata = '{{\"pad\":\"' || hex(zeroblob(key_no * 7919 % {})) || '\"}}'
                    WHERE key_no % 8 = {n} AND deleted_ms IS NULL",
                100 + 97 * n
            ),
        )
        .await;
    }
    execute(
        &home,
        "INSERT INTO orphans (source, original) VALUES
            ('key_secrets', '{\"key_id\":\"gone\",\"name\":\"s\",\"value\":\"MARK-orphan-MARK\"}'),
            ('key_secrets', '{\"key_id\":null,\"name\":\"s\",\"value\":null}')",
    )
    .await;
    let server = home.try_open(sealer()).await.unwrap();
    run(&home).await.unwrap();
    let report = check(&home).await;
    assert!(report.is_well(), "{:?}", report.counts);
    value(&server, "f").await;

    // With the server still there, its journal too. Reading takes its locks away, so nothing is written after this.
    for name in ["pool.db", "pool.db-wal"] {
        let bytes = std::fs::read(home.path.with_file_name(name)).unwrap();
        assert!(name != "pool.db" || bytes.len() > 500_000);
        for text in ["MARK", "4d41524b", "4D41524B", "TUFSS", "1BUks", "NQVJL"] {
            let found = bytes.windows(text.len()).filter(|it| *it == text.as_bytes()).count();
            assert_eq!(found, 0, "{text} is left in {name}");
        }
    }
}

#[tokio::test]
async fn what_the_original_sealed_is_bound_to_its_place_from_then_on() {
    let home = Home::new();
    let fixture = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../keypool-store/tests/fixtures/keypooler-go-v1.db");
    std::fs::write(&home.path, std::fs::read(fixture).unwrap()).unwrap();
    let its_key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let its_key = || EncryptionKey::parse_hex(its_key).unwrap();
    let sealer = Sealer::with_key(encryption_key('b')).opening_previous(its_key());
    let store = || home.settings(Sealer::plain()).store;
    home.try_open(Sealer::with_key(its_key())).await.unwrap().close().await;

    let before = check_seals(store(), &sealer).await.unwrap();
    assert!(before.counts.original > 1 && before.counts.plain > 1, "{:?}", before.counts);
    let [copy] = before.copies.as_slice() else { panic!("{:?}", before.copies) };
    assert_eq!(copy.path, home.path.with_extension("db.v1.bak"));
    assert!(copy.plain > Some(1) && !before.is_well());

    reseal(store(), &sealer, &home.settings(Sealer::plain()).clock, |_, _| {}).await.unwrap();
    let after = check_seals(store(), &sealer).await.unwrap();
    let current = before.counts.original + before.counts.plain;
    assert_eq!(after.counts, SealCounts { current, ..SealCounts::default() });
    assert_eq!(after.copies, before.copies);
    assert!(!after.is_well(), "the copy still lies there");
    std::fs::remove_file(&copy.path).unwrap();
    assert!(check_seals(store(), &sealer).await.unwrap().is_well());

    execute(
        &home,
        "CREATE TABLE two AS SELECT key_no, key_value FROM keys WHERE deleted_ms IS NULL LIMIT 2;
        UPDATE keys SET key_value = (SELECT key_value FROM two WHERE two.key_no <> keys.key_no)
            WHERE key_no IN (SELECT key_no FROM two);
        DROP TABLE two",
    )
    .await;
    let swapped = check_seals(store(), &sealer).await.unwrap();
    assert_eq!(swapped.unopened.len(), 2, "{:?}", swapped.unopened);
    let server = home.try_open(sealer).await.unwrap();
    assert_eq!(server.counts().await.damaged.len(), 2);
    server.close().await;
}

#[tokio::test]
async fn a_value_that_does_not_open_is_left_and_told() {
    let home = Home::new();
    let engine = home.try_open(Sealer::with_key(encryption_key('a'))).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    for name in ["k1", "k2"] {
        engine.add_key(&origin(), key(name, "t")).await.unwrap();
    }
    let id = Arc::clone(&engine.keys().await[0].id);
    engine.close().await;
    execute(&home, "UPDATE keys SET key_value = key_value || '00' WHERE name = 'k1'").await;
    assert_eq!(run(&home).await.unwrap(), 1);
    let report = check(&home).await;
    assert_eq!(report.counts, SealCounts { current: 1, ..SealCounts::default() });
    assert_eq!((report.unopened.len(), report.unopened[0].key.as_str()), (1, &*id));
    assert!(!report.is_well());
}

#[tokio::test]
async fn beside_a_server_that_would_not_open_what_is_sealed_nothing_is_sealed() {
    let home = Home::new();
    with_keys(&home, 2, None).await.close().await;
    for other in [
        Sealer::plain(),
        Sealer::with_key(encryption_key('a')),
        Sealer::with_key(encryption_key('c')).opening_previous(encryption_key('b')),
    ] {
        let server = home.try_open(other).await.unwrap();
        let refused = run(&home).await.unwrap_err();
        assert!(matches!(refused, ResealError::Host(OtherKeys::Different)), "{refused:?}");
        assert_eq!(check(&home).await.counts.plain, 2);
        server.close().await;
    }
    let settings = home.settings(Sealer::plain());
    let refused = reseal(settings.store, &settings.sealer, &settings.clock, |_, _| {}).await;
    assert!(matches!(refused, Err(ResealError::NoKey)));
}

#[tokio::test]
async fn a_value_of_neither_key_stops_it_before_anything_is_sealed() {
    let home = Home::new();
    with_keys(&home, 2, None).await.close().await;
    let engine = home.try_open(Sealer::with_key(encryption_key('c'))).await.unwrap();
    engine.add_key(&origin(), key("k3", "t")).await.unwrap();
    engine.close().await;
    let refused = run(&home).await.unwrap_err();
    assert!(matches!(refused, ResealError::Values(_)), "{refused:?}");
    let report = check(&home).await;
    assert_eq!((report.counts.plain, report.unopened.len()), (2, 1));
}

#[tokio::test]
async fn it_is_on_record() {
    let home = Home::new();
    with_keys(&home, 2, None).await.close().await;
    run(&home).await.unwrap();
    let server = home.try_open(sealer()).await.unwrap();
    let query = keypool_engine::ChangesQuery { limit: 1, before: None };
    let changes = server.changes(query).await.unwrap();
    assert_eq!(changes[0].what, "reseal_values");
    assert_eq!(changes[0].from.as_deref(), Some("keypooler reseal"));
    assert_eq!(refusal(draw(&server, "g").await), Refusal::UnknownFeature);
    server.close().await;
}
