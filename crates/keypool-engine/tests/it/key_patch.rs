//! A key is changed: at once (promise 5), with counters that equal events (promise 3), and memory as the database has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keypool_engine::{
    AdminError, Caller, Engine, KeyPatch, KeyView, NewKey, Plain, Refusal, Sealer, Timestamp,
};
use tokio::task::JoinSet;

use crate::support::*;

/// What a member that can be cleared is set to.
fn set<T>(value: T) -> Option<Option<T>> {
    Some(Some(value))
}

fn plain(value: &str) -> Plain {
    Plain::from(value.to_owned())
}

async fn only_key(engine: &Engine) -> KeyView {
    engine.keys().await.remove(0)
}

/// Changes the only key.
async fn patch(engine: &Engine, patch: KeyPatch) -> KeyView {
    let id = only_key(engine).await.id;
    engine.update_key(&origin(), &id, patch).await.unwrap()
}

/// The field that a patch of the only key is refused for.
async fn field_at_fault(engine: &Engine, patch: KeyPatch) -> String {
    let id = only_key(engine).await.id;
    match engine.update_key(&origin(), &id, patch).await {
        Err(AdminError::Invalid(invalid)) => invalid.field,
        other => panic!("not invalid: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_given_changes_and_the_rest_stays() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    add_tier(&engine, "u", &[("g", limit(9, 60))]).await;
    let secrets = [("a", "one"), ("b", "two")].map(|(name, value)| (name.to_owned(), plain(value)));
    engine.add_key(&origin(), NewKey { secrets: secrets.into(), ..key("k", "t") }).await.unwrap();
    value(&engine, "f").await;
    let before = only_key(&engine).await;
    assert_eq!(patch(&engine, KeyPatch::default()).await, before);

    let expires_at = Timestamp::from_millis(START + 5_000);
    let changed = KeyPatch {
        name: Some("l".to_owned()),
        value: Some(plain("rotated")),
        tier: Some("u".to_owned()),
        is_active: Some(true),
        expires_at: set(expires_at),
        usage_limit: set(5),
        usage_window_seconds: set(50),
        usage_count: Some(2),
        metadata: Some(r#"{"n": 1}"#.to_owned()),
        secrets: vec![
            ("a".to_owned(), None),
            ("b".to_owned(), Some(plain("three"))),
            ("c".to_owned(), Some(plain("four"))),
            ("never there".to_owned(), None),
        ],
    };
    let after = patch(&engine, changed).await;
    assert_eq!((&*after.name, &*after.tier, after.is_active), ("l", "u", true));
    assert_eq!((after.expires_at, after.usage_limit), (Some(expires_at), Some(5)));
    assert_eq!((after.usage_window_seconds, after.usage_count), (Some(50), 2));
    assert_eq!(after.usage_resets_at, Some(Timestamp::from_millis(START + 50_000)));
    assert_eq!((&*after.metadata, after.created_at), (r#"{"n": 1}"#, before.created_at));
    assert_eq!(after.secret_names, [Arc::from("b"), Arc::from("c")]);

    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    let served = draw(&engine, "g").await.unwrap();
    let secrets: Vec<_> = served.secrets.iter().map(|it| (&*it.name, it.value.expose())).collect();
    assert_eq!((served.value.expose(), &*served.metadata), ("rotated", r#"{"n": 1}"#));
    assert_eq!(secrets, [("b", "three"), ("c", "four")]);
    let to_id = KeyPatch { tier: Some(before.tier_id.to_string()), ..KeyPatch::default() };
    assert_eq!(&*patch(&engine, to_id).await.tier, "t");
    assert_counters_equal_events(&home).await;
    let before = engine.keys().await;
    engine.close().await;
    let engine = home.open().await;
    assert_eq!(engine.keys().await, before);
    engine.close().await;
}

#[tokio::test]
async fn what_is_cleared_is_gone() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    let new = NewKey {
        expires_at: Some(Timestamp::from_millis(START + 1)),
        usage_limit: Some(1),
        usage_window_seconds: Some(60),
        ..key("k", "t")
    };
    engine.add_key(&origin(), new).await.unwrap();
    home.clock.advance(Duration::from_millis(1));
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    patch(&engine, KeyPatch { expires_at: Some(None), ..KeyPatch::default() }).await;
    value(&engine, "f").await;
    assert!(matches!(refusal(draw(&engine, "f").await), Refusal::Spent { .. }));
    let cleared = patch(&engine, KeyPatch { usage_limit: Some(None), ..KeyPatch::default() }).await;
    assert_eq!((cleared.usage_limit, cleared.usage_window_seconds), (None, None), "both go");
    assert_eq!((cleared.usage_count, cleared.usage_resets_at), (1, None), "every grant counts");
    value(&engine, "f").await;
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test]
async fn a_key_is_judged_as_it_would_be() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let window = |seconds| KeyPatch { usage_window_seconds: set(seconds), ..KeyPatch::default() };
    assert_eq!(field_at_fault(&engine, window(60)).await, "usage_window_seconds");
    patch(&engine, KeyPatch { usage_limit: set(5), ..window(60) }).await;
    patch(&engine, window(70)).await;
    let without = KeyPatch { usage_limit: Some(None), ..window(60) };
    assert_eq!(field_at_fault(&engine, without).await, "usage_window_seconds");

    let of = |range: std::ops::Range<usize>, bytes: usize| KeyPatch {
        secrets: range.map(|n| (n.to_string(), Some(plain(&"x".repeat(bytes))))).collect(),
        ..KeyPatch::default()
    };
    patch(&engine, of(0..63, 1)).await;
    assert_eq!(field_at_fault(&engine, of(63..65, 1)).await, "secrets");
    patch(&engine, of(63..64, 1)).await;
    assert_eq!(field_at_fault(&engine, of(0..16, 16_384)).await, "secrets");
    patch(&engine, of(0..15, 16_384)).await;
    let bytes = 16_384 - 49 + 1;
    let value = KeyPatch { value: Some(plain(&"x".repeat(bytes))), ..KeyPatch::default() };
    assert_eq!(field_at_fault(&engine, value).await, "secrets");
    let value = KeyPatch { value: Some(plain(&"x".repeat(bytes - 1))), ..KeyPatch::default() };
    patch(&engine, value).await;
    let in_place_of_another = KeyPatch {
        secrets: vec![("0".to_owned(), None), ("new".to_owned(), Some(plain("x")))],
        ..KeyPatch::default()
    };
    patch(&engine, in_place_of_another).await;
    engine.close().await;
}

#[tokio::test]
async fn what_is_unknown_is_refused_and_changes_nothing() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let before = engine.keys().await;
    let refused = engine.update_key(&origin(), "nobody", KeyPatch::default()).await;
    assert!(matches!(refused, Err(AdminError::Unknown { what: "key", .. })), "{refused:?}");
    let moved = KeyPatch {
        tier: Some("nowhere".to_owned()),
        name: Some("moved".to_owned()),
        ..KeyPatch::default()
    };
    let refused = engine.update_key(&origin(), &before[0].id, moved).await;
    assert!(matches!(refused, Err(AdminError::Unknown { what: "tier", .. })), "{refused:?}");
    assert_eq!(engine.keys().await, before);
    engine.close().await;
}

/// Promise 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_value_rotated_under_load_fails_no_draw_and_is_not_served_after_the_answer() {
    let home = Home::new();
    let engine = with_keys(&home, 3, None).await;
    let rotated = Arc::clone(&engine.keys().await[0].id);
    let is_rotated = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (engine, is_rotated) = (engine.clone(), Arc::clone(&is_rotated));
        clients.spawn(async move {
            let mut after = 0;
            while after < 50 {
                let was_rotated = is_rotated.load(Ordering::SeqCst);
                let served = engine.draw(Caller::Admin, "f").await.unwrap();
                if was_rotated {
                    assert_ne!(served.value.expose(), "value-of-k1");
                    after += 1;
                }
            }
        });
    }
    for value in ["first", "second", "third"] {
        let patch = KeyPatch { value: Some(plain(value)), ..KeyPatch::default() };
        engine.update_key(&origin(), &rotated, patch).await.unwrap();
    }
    is_rotated.store(true, Ordering::SeqCst);
    clients.join_all().await;
    let counts: Vec<u64> = engine.keys().await.iter().map(|key| key.usage_count).collect();
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

/// Promises 1 and 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_changed_under_load_hold_to_the_unit() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(1_000)).await;
    let id = Arc::clone(&engine.keys().await[0].id);
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let engine = engine.clone();
        clients.spawn(async move {
            let mut grants = 0_u64;
            while engine.draw(Caller::Admin, "f").await.is_ok() {
                grants += 1;
            }
            grants
        });
    }
    let lower = KeyPatch { usage_limit: set(300), ..KeyPatch::default() };
    let lowered = engine.update_key(&origin(), &id, lower).await.unwrap().usage_count;
    let grants: u64 = clients.join_all().await.iter().sum();
    assert_eq!(grants, lowered.max(300));
    let strike = KeyPatch { usage_count: Some(290), ..KeyPatch::default() };
    engine.update_key(&origin(), &id, strike).await.unwrap();
    for _ in 0..10 {
        value(&engine, "f").await;
    }
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test]
async fn a_new_value_and_secret_heal_a_damaged_key() {
    let home = Home::new();
    let sealer =
        || Sealer::with_key(keypool_engine::EncryptionKey::parse_hex(&"a".repeat(64)).unwrap());
    let engine = home.try_open(sealer()).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    let secrets = vec![("s".to_owned(), plain("secret"))];
    engine.add_key(&origin(), NewKey { secrets, ..key("k", "t") }).await.unwrap();
    engine.add_key(&origin(), key("whole", "t")).await.unwrap();
    engine.close().await;
    for sql in [
        "UPDATE keys SET key_value = replace(key_value, ':', ':0') WHERE name = 'k'",
        "UPDATE key_secrets SET value = substr(value, 1, length(value) - 2) || '00'",
    ] {
        sqlx::query(sql).execute(&mut home.intruder().await).await.unwrap();
    }
    let engine = home.try_open(sealer()).await.unwrap();
    let damaged = async || engine.counts().await.damaged.len();
    assert_eq!(damaged().await, 1);
    patch(&engine, KeyPatch { value: Some(plain("new")), ..KeyPatch::default() }).await;
    assert_eq!(damaged().await, 1, "a secret is still damaged");
    let secrets = vec![("s".to_owned(), Some(plain("another")))];
    patch(&engine, KeyPatch { secrets, ..KeyPatch::default() }).await;
    assert_eq!(damaged().await, 0);
    let served = draw(&engine, "f").await.unwrap();
    assert_eq!((served.value.expose(), served.secrets[0].value.expose()), ("new", "another"));
    engine.close().await;
}
