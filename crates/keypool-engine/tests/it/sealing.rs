//! Values at rest (promise 8): sealed where there is a key, found out before anything is changed where the key does not fit.

use std::sync::Arc;

use keypool_engine::{Caller, EncryptionKey, NewKey, OpenError, Plain, Refusal, Sealer};

use crate::support::*;

fn sealer(digit: char) -> Sealer {
    Sealer::with_key(encryption_key(digit))
}

fn encryption_key(digit: char) -> EncryptionKey {
    EncryptionKey::parse_hex(&digit.to_string().repeat(64)).unwrap()
}

async fn text_of(home: &Home, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&mut home.intruder().await).await.unwrap()
}

#[tokio::test]
async fn plain_and_sealed_values_live_side_by_side() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    engine.close().await;
    let engine = home.try_open(sealer('a')).await.unwrap();
    let secrets = vec![("s".to_owned(), Plain::from("whsec".to_owned()))];
    engine.add_key(&origin(), NewKey { secrets, ..key("sealed", "t") }).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k1");
    let served = draw(&engine, "f").await.unwrap();
    assert_eq!(
        (served.value.expose(), served.secrets[0].value.expose()),
        ("value-of-sealed", "whsec")
    );
    engine.close().await;
    let stored = text_of(&home, "SELECT key_value FROM keys WHERE name = 'sealed'").await;
    assert!(stored.starts_with("enc:gcm:2:"), "{stored}");
    assert!(!std::fs::read(&home.path).unwrap().windows(5).any(|bytes| bytes == b"whsec"));
}

#[tokio::test]
async fn a_missing_or_another_encryption_key_stops_the_start_and_changes_nothing() {
    let home = Home::new();
    let engine = home.try_open(sealer('a')).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(1, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    engine.close().await;
    let before = std::fs::read(&home.path).unwrap();
    let refused = home.try_open(Sealer::plain()).await.unwrap_err();
    assert!(matches!(refused, OpenError::KeyMissing { count: 1, .. }), "{refused:?}");
    let refused = home.try_open(sealer('b')).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherKey { .. }), "{refused:?}");
    assert_eq!(std::fs::read(&home.path).unwrap(), before);
    let engine = home.try_open(sealer('a')).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k");
    engine.close().await;
}

#[tokio::test]
async fn a_single_damaged_value_parks_its_key_alone() {
    let home = Home::new();
    let engine = home.try_open(sealer('a')).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    for name in ["k1", "k2"] {
        engine.add_key(&origin(), key(name, "t")).await.unwrap();
    }
    engine.close().await;
    let swap = "UPDATE keys SET key_value = (SELECT key_value FROM keys WHERE name = 'k2') WHERE name = 'k1'";
    sqlx::query(swap).execute(&mut home.intruder().await).await.unwrap();
    let engine = home.try_open(sealer('a')).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-k2");
    assert_eq!(value(&engine, "f").await, "value-of-k2");
    assert_eq!(engine.counts().await.damaged, [Arc::clone(&engine.keys().await[0].id)]);
    let id = engine.keys().await[1].id.to_string();
    engine.delete_key(&origin(), &id).await.unwrap();
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    engine.close().await;
}

#[tokio::test]
async fn an_admin_token_may_look_like_one_of_ours() {
    let home = Home::new();
    // 52 characters, but no checksum of ours.
    let token = format!("kp_{}", "x".repeat(49));
    let engine = home.open_for(&[&token]).await;
    assert_eq!(engine.authenticate(&token), Some(Caller::Admin));
    assert_eq!(engine.authenticate("another"), None);
    engine.close().await;
}

#[tokio::test]
async fn the_only_sealed_value_may_be_damaged_where_its_tag_names_the_key() {
    let home = Home::new();
    let engine = home.try_open(sealer('a')).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    engine.close().await;
    let damage =
        "UPDATE keys SET key_value = substr(key_value, 1, length(key_value) - 2) || 'ff' || '00'";
    sqlx::query(damage).execute(&mut home.intruder().await).await.unwrap();
    let engine = home.try_open(sealer('a')).await.unwrap();
    assert_eq!(engine.counts().await.damaged.len(), 1);
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    engine.close().await;
}

#[tokio::test]
async fn the_key_before_opens_what_it_sealed_and_new_values_are_sealed_under_the_current_one() {
    let home = Home::new();
    let engine = home.try_open(sealer('a')).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    engine.add_key(&origin(), key("old", "t")).await.unwrap();
    engine.close().await;
    let both = sealer('b').opening_previous(encryption_key('a'));
    let engine = home.try_open(both).await.unwrap();
    engine.add_key(&origin(), key("new", "t")).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-old");
    assert_eq!(value(&engine, "f").await, "value-of-new");
    engine.close().await;
    for digit in ['a', 'b'] {
        let refused = home.try_open(sealer(digit)).await.unwrap_err();
        assert!(matches!(refused, OpenError::OtherKey { .. }), "{refused:?}");
    }
    let new = text_of(&home, "SELECT key_value FROM keys WHERE name = 'new'").await;
    let id = encryption_key('b').key_id().to_string();
    assert!(new.starts_with(&format!("enc:gcm:2:{id}:")), "{new}");
}

#[tokio::test]
async fn plain_text_that_is_refused_stops_the_start_and_changes_nothing() {
    let home = Home::new();
    with_keys(&home, 2, None).await.close().await;
    let before = std::fs::read(&home.path).unwrap();
    let refused = home.try_open(sealer('a').refusing_plain_text()).await.unwrap_err();
    let OpenError::PlainValues { count, keys } = refused else { panic!("{refused:?}") };
    assert_eq!(count, 2);
    assert!(keys.contains("\"k1\"") && keys.contains("\"k2\""), "{keys}");
    assert_eq!(std::fs::read(&home.path).unwrap(), before);
}

#[tokio::test]
async fn plain_text_that_is_slipped_in_while_it_serves_is_granted_to_nobody() {
    let home = Home::new();
    let engine = home.try_open(sealer('a').refusing_plain_text()).await.unwrap();
    add_tier(&engine, "t", &[("f", limit(9, 60))]).await;
    for name in ["k1", "k2"] {
        engine.add_key(&origin(), key(name, "t")).await.unwrap();
    }
    assert_eq!(value(&engine, "f").await, "value-of-k1");
    // As a guest or another replica would write, and as somebody who knows no better.
    for (name, account) in [
        (
            "k1",
            "INSERT INTO changes (revision, change_id, at_ms) SELECT revision, 'x', 0 FROM pool",
        ),
        ("k2", "SELECT 1"),
    ] {
        let mut intruder = home.intruder().await;
        for sql in [
            "UPDATE pool SET revision = revision + 1".to_owned(),
            account.to_owned(),
            format!(
                "UPDATE keys SET key_value = 'slipped in', revision = (SELECT revision FROM pool)
                WHERE name = '{name}'"
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut intruder).await.unwrap();
        }
        if name == "k1" {
            assert_eq!(value(&engine, "f").await, "value-of-k2");
            assert_eq!(value(&engine, "f").await, "value-of-k2");
        }
    }
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    assert_eq!(engine.counts().await.damaged.len(), 2);
    engine.close().await;
}
