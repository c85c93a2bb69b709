//! Draws: rotation (promise 4), limits (promise 1), refusals that say when (promise 7), what comes with a key.

use std::time::Duration;

use keypool_engine::{Caller, Limit, NewKey, Plain, Refusal};

use crate::support::*;

#[tokio::test]
async fn reveals_value_metadata_and_secrets_of_the_key() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let secrets = vec![("webhook".to_owned(), Plain::from("whsec".to_owned()))];
    let metadata = Some(r#"{"z":12345678901234567890,"a":1.0}"#.to_owned());
    let added =
        engine.add_key(&origin(), NewKey { metadata, secrets, ..key("k", "t") }).await.unwrap();
    let served = draw(&engine, "f").await.unwrap();
    assert_eq!(served.key_id, added.key.id);
    assert_eq!(served.value.expose(), "value-of-k");
    assert_eq!(&*served.metadata, r#"{"z":12345678901234567890,"a":1.0}"#);
    assert_eq!(&*served.secrets[0].name, "webhook");
    assert_eq!(served.secrets[0].value.expose(), "whsec");
    engine.close().await;
}

#[tokio::test]
async fn serves_keys_in_turn() {
    let home = Home::new();
    let engine = with_keys(&home, 3, None).await;
    let mut values = Vec::new();
    for _ in 0..6 {
        values.push(value(&engine, "f").await);
    }
    assert_eq!(values[..3], ["value-of-k1", "value-of-k2", "value-of-k3"]);
    assert_eq!(values[..3], values[3..]);
    engine.close().await;
}

#[tokio::test]
async fn two_features_in_turn_each_visit_all_keys() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(1_000, 60)), ("g", limit(1_000, 60))]).await;
    for n in 1..=4 {
        engine.add_key(&origin(), key(&format!("k{n}"), "t")).await.unwrap();
    }
    let (mut f, mut g) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        f.push(value(&engine, "f").await);
        g.push(value(&engine, "g").await);
    }
    f.sort_unstable();
    g.sort_unstable();
    assert_eq!(f, ["value-of-k1", "value-of-k2", "value-of-k3", "value-of-k4"]);
    assert_eq!(f, g);
    engine.close().await;
}

#[tokio::test]
async fn says_to_the_millisecond_when_a_rate_limit_heals() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(2, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    value(&engine, "f").await;
    home.clock.advance(Duration::from_secs(10));
    value(&engine, "f").await;
    let spent = refusal(draw(&engine, "f").await);
    let retry_after = Duration::from_secs(50);
    assert_eq!(spent, Refusal::Spent { limit: Limit::Rate, retry_after });
    home.clock.advance(retry_after - Duration::from_millis(1));
    let retry_after = Duration::from_millis(1);
    assert_eq!(
        refusal(draw(&engine, "f").await),
        Refusal::Spent { limit: Limit::Rate, retry_after }
    );
    home.clock.advance(retry_after);
    value(&engine, "f").await;
    engine.close().await;
}

#[tokio::test]
async fn a_budget_for_life_does_not_heal_and_a_windowed_one_does() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(1)).await;
    value(&engine, "f").await;
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    let windowed =
        NewKey { usage_limit: Some(1), usage_window_seconds: Some(100), ..key("w", "t") };
    engine.add_key(&origin(), windowed).await.unwrap();
    assert_eq!(value(&engine, "f").await, "value-of-w");
    let retry_after = Duration::from_secs(100);
    assert_eq!(
        refusal(draw(&engine, "f").await),
        Refusal::Spent { limit: Limit::Budget, retry_after }
    );
    home.clock.advance(retry_after);
    assert_eq!(value(&engine, "f").await, "value-of-w");
    engine.close().await;
}

#[tokio::test]
async fn an_expired_key_is_not_granted() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let expires_at = Some(keypool_engine::Timestamp::from_millis(START + 1_000));
    engine.add_key(&origin(), NewKey { expires_at, ..key("k", "t") }).await.unwrap();
    home.clock.advance(Duration::from_millis(999));
    value(&engine, "f").await;
    home.clock.advance(Duration::from_millis(1));
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::NoUsableKey);
    engine.close().await;
}

#[tokio::test]
async fn a_consumer_draws_from_its_tiers_only() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    add_tier(&engine, "u", &[("g", limit(1, 60))]).await;
    let (_, consumer) = add_consumer(&engine, "c", &["u"]).await;
    assert_eq!(refusal(engine.draw(consumer, "f").await), Refusal::OutOfScope);
    assert_eq!(refusal(engine.draw(consumer, "unheard-of").await), Refusal::OutOfScope);
    assert_eq!(refusal(engine.draw(consumer, "g").await), Refusal::NoUsableKey);
    assert_eq!(refusal(engine.draw(Caller::Admin, "unheard-of").await), Refusal::UnknownFeature);
    engine.close().await;
}

#[tokio::test]
async fn refusals_use_nothing_up() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(1)).await;
    let served = draw(&engine, "f").await.unwrap();
    for _ in 0..10 {
        refusal(draw(&engine, "f").await);
    }
    let keys = engine.keys().await;
    assert_eq!((keys[0].usage_count, keys[0].usage[0].used), (1, 1));
    let query = keypool_engine::UsageQuery { limit: 10, ..Default::default() };
    let events = engine.usage(query).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].draw_id, served.draw_id);
    assert_eq!((events[0].consumer_id.as_str(), events[0].feature.as_str()), ("admin", "f"));
    engine.close().await;
}
