//! Changes by an admin: what they answer, and that they hold at once (promise 5), in memory and database alike.

use keypool_engine::{AdminError, Limit, NewConsumer, NewKey, NewTier, Refusal, TierPatch};

use crate::support::*;

async fn restarted(home: &Home, engine: keypool_engine::Engine) -> keypool_engine::Engine {
    engine.close().await;
    home.open().await
}

#[tokio::test]
async fn every_list_is_the_same_after_a_restart() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "b", &[("g", limit(2, 30)), ("f", limit(1, 60))]).await;
    add_tier(&engine, "a", &[("f", limit(3, 60))]).await;
    engine.add_key(&origin(), NewKey { usage_limit: Some(7), ..key("k1", "a") }).await.unwrap();
    engine.add_keys(&origin(), vec![key("k2", "b"), key("k2", "a")]).await.unwrap();
    let (id, _) = add_consumer(&engine, "c", &["b", "a"]).await;
    add_consumer(&engine, "d", &[]).await;
    engine.remove_scope(&origin(), &id, "a").await.unwrap();
    engine.add_scope(&origin(), &id, "b").await.unwrap();
    let (tiers, keys, consumers) = (engine.tiers(), engine.keys().await, engine.consumers());
    assert_eq!(tiers.iter().map(|tier| &*tier.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(keys.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["k1", "k2", "k2"]);
    assert_eq!(consumers[0].scopes.iter().map(|tier| &**tier).collect::<Vec<_>>(), ["b"]);
    let engine = restarted(&home, engine).await;
    assert_eq!((engine.tiers(), engine.keys().await, engine.consumers()), (tiers, keys, consumers));
    engine.close().await;
}

#[tokio::test]
async fn names_of_tiers_and_consumers_are_taken_once() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let features = vec![("f".to_owned(), limit(1, 1))];
    let tier = NewTier { name: "t".to_owned(), description: String::new(), features };
    assert!(matches!(
        engine.add_tier(&origin(), tier).await,
        Err(AdminError::NameTaken { what: "tier", .. })
    ));
    let (id, _) = add_consumer(&engine, "c", &[]).await;
    let consumer = NewConsumer { name: "c".to_owned(), ..NewConsumer::default() };
    let taken = engine.add_consumer(&origin(), consumer.clone()).await;
    assert!(matches!(taken, Err(AdminError::NameTaken { what: "consumer", .. })));
    engine.delete_consumer(&origin(), &id).await.unwrap();
    engine.add_consumer(&origin(), consumer).await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_changed_tier_holds_for_its_keys_at_once() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(1, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    value(&engine, "f").await;
    assert!(matches!(refusal(draw(&engine, "f").await), Refusal::Spent { limit: Limit::Rate, .. }));
    let features = Some(vec![("f".to_owned(), limit(2, 60)), ("g".to_owned(), limit(1, 60))]);
    let patch = TierPatch { features, ..TierPatch::default() };
    let changed = engine.update_tier(&origin(), "t", patch).await.unwrap();
    assert_eq!(changed.features.len(), 2);
    value(&engine, "f").await;
    value(&engine, "g").await;
    assert!(matches!(refusal(draw(&engine, "f").await), Refusal::Spent { limit: Limit::Rate, .. }));
    let without = Some(vec![("g".to_owned(), limit(1, 60))]);
    engine
        .update_tier(&origin(), "t", TierPatch { features: without, ..TierPatch::default() })
        .await
        .unwrap();
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::UnknownFeature);
    let engine = restarted(&home, engine).await;
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::UnknownFeature);
    engine.close().await;
}

#[tokio::test]
async fn a_tier_is_changed_by_its_id_and_keeps_keys_and_scopes_under_another_name() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (_, consumer) = add_consumer(&engine, "c", &["t"]).await;
    add_tier(&engine, "u", &[("g", limit(1, 60))]).await;
    let id = engine.tiers()[0].id.to_string();
    let named = |name: &str| TierPatch { name: Some(name.to_owned()), ..TierPatch::default() };
    for taken in ["u", "t"] {
        let outcome = engine.update_tier_by_id(&origin(), &id, named(taken)).await;
        let is_refused = matches!(outcome, Err(AdminError::NameTaken { what: "tier", .. }));
        assert_eq!(is_refused, taken == "u", "its own name is not taken: {outcome:?}");
    }
    let changed = engine.update_tier_by_id(&origin(), &id, named("v")).await.unwrap();
    assert_eq!((&*changed.id, &*changed.name, changed.features.len()), (id.as_str(), "v", 1));
    assert_eq!(engine.keys().await[0].tier, changed.name);
    assert_eq!(*engine.consumers()[0].scopes, [changed.name]);
    engine.draw(consumer, "f").await.unwrap();
    add_tier(&engine, "t", &[("g", limit(1, 60))]).await;
    assert!(matches!(
        engine.update_tier_by_id(&origin(), &id, named("")).await,
        Err(AdminError::Invalid(invalid)) if invalid.field == "name"
    ));
    let (tiers, keys) = (engine.tiers(), engine.keys().await);
    let engine = restarted(&home, engine).await;
    assert_eq!((engine.tiers(), engine.keys().await), (tiers, keys));
    engine.close().await;
}

#[tokio::test]
async fn a_tier_is_deleted_once_it_holds_no_key() {
    let home = Home::new();
    let engine = with_keys(&home, 2, None).await;
    let (_, consumer) = add_consumer(&engine, "c", &["t"]).await;
    engine.draw(consumer, "f").await.unwrap();
    let id = engine.tiers()[0].id.to_string();
    for (held, key) in [2, 1].into_iter().zip(engine.keys().await) {
        let refused = engine.delete_tier(&origin(), &id).await.unwrap_err();
        assert!(matches!(refused, AdminError::TierInUse { keys, .. } if keys == held), "{refused}");
        engine.delete_key(&origin(), &key.id).await.unwrap();
    }
    engine.delete_tier(&origin(), &id).await.unwrap();
    assert_eq!(refusal(engine.draw(consumer, "f").await), Refusal::OutOfScope);
    assert_eq!(refusal(draw(&engine, "f").await), Refusal::UnknownFeature);
    assert!(engine.tiers().is_empty() && engine.consumers()[0].scopes.is_empty());
    let again = engine.delete_tier(&origin(), &id).await;
    assert!(matches!(again, Err(AdminError::Unknown { .. })));
    add_tier(&engine, "t", &[("f", limit(1, 60))]).await;
    assert_eq!(refusal(engine.draw(consumer, "f").await), Refusal::OutOfScope);
    let engine = restarted(&home, engine).await;
    assert_eq!(engine.tiers().len(), 1);
    assert!(engine.consumers()[0].scopes.is_empty());
    let query = keypool_engine::UsageQuery { limit: 5, ..Default::default() };
    assert_eq!(engine.usage(query).await.unwrap().len(), 1);
    engine.close().await;
}

#[tokio::test]
async fn a_removed_consumer_is_nobody_and_a_revoked_scope_is_out() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (id, consumer) = add_consumer(&engine, "c", &["t"]).await;
    engine.draw(consumer, "f").await.unwrap();
    let tier = engine.tiers()[0].id.to_string();
    engine.remove_scope(&origin(), &id, &tier).await.unwrap();
    assert!(matches!(
        engine.remove_scope(&origin(), &id, &tier).await,
        Err(AdminError::Unknown { what: "scope", .. })
    ));
    assert_eq!(refusal(engine.draw(consumer, "f").await), Refusal::OutOfScope);
    engine.delete_consumer(&origin(), &id).await.unwrap();
    assert_eq!(refusal(engine.draw(consumer, "f").await), Refusal::UnknownCaller);
    let events =
        engine.usage(keypool_engine::UsageQuery { limit: 5, ..Default::default() }).await.unwrap();
    assert_eq!(
        (events[0].consumer_id.as_str(), events[0].consumer_name.as_str()),
        (id.as_str(), "c")
    );
    engine.close().await;
}

#[tokio::test]
async fn unknown_things_are_named() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let unknown = |what| move |error: AdminError| matches!(error, AdminError::Unknown { what: w, .. } if w == what);
    assert!(engine.delete_key(&origin(), "nope").await.is_err_and(unknown("key")));
    assert!(engine.delete_consumer(&origin(), "nope").await.is_err_and(unknown("consumer")));
    assert!(engine.add_scope(&origin(), "nope", "t").await.is_err_and(unknown("consumer")));
    assert!(engine.add_key(&origin(), key("k", "nope")).await.is_err_and(unknown("tier")));
    for nope in ["nope", ""] {
        let patch = TierPatch::default();
        let by_name = engine.update_tier(&origin(), nope, patch.clone()).await;
        assert!(by_name.is_err_and(unknown("tier")));
        let by_id = engine.update_tier_by_id(&origin(), nope, patch).await;
        assert!(by_id.is_err_and(unknown("tier with the id")));
        let deleted = engine.delete_tier(&origin(), nope).await;
        assert!(deleted.is_err_and(unknown("tier with the id")));
    }
    let (id, _) = add_consumer(&engine, "c", &[]).await;
    assert!(engine.add_scope(&origin(), &id, "nope").await.is_err_and(unknown("tier")));
    engine.close().await;
}

#[tokio::test]
async fn an_array_of_keys_is_added_whole_or_not_at_all() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let refused = engine.add_keys(&origin(), vec![key("k1", "t"), key("", "t")]).await.unwrap_err();
    let AdminError::Invalid(invalid) = refused else { panic!("{refused:?}") };
    assert_eq!(invalid.field, "[1].name");
    assert!(engine.add_keys(&origin(), vec![key("k1", "t"), key("k2", "nope")]).await.is_err());
    assert!(engine.add_keys(&origin(), Vec::new()).await.is_err());
    assert!(engine.keys().await.is_empty());
    let many = (0..10_000).map(|n| key(&format!("k{n}"), "t")).collect();
    assert_eq!(engine.add_keys(&origin(), many).await.unwrap().len(), 10_000);
    assert_eq!(engine.keys().await.len(), 10_000);
    engine.close().await;
}

#[tokio::test]
async fn a_shortened_window_counts_only_its_own_grants() {
    let home = Home::new();
    let engine = home.open().await;
    add_tier(&engine, "t", &[("f", limit(5, 60))]).await;
    engine.add_key(&origin(), key("k", "t")).await.unwrap();
    value(&engine, "f").await;
    home.clock.advance(std::time::Duration::from_secs(10));
    value(&engine, "f").await;
    let features = Some(vec![("f".to_owned(), limit(5, 5))]);
    engine
        .update_tier(&origin(), "t", TierPatch { features, ..TierPatch::default() })
        .await
        .unwrap();
    // In the same millisecond as the last grant of the window that has ended with that.
    value(&engine, "f").await;
    assert_eq!(engine.keys().await[0].usage[0].used, 1);
    assert_counters_equal_events(&home).await;
    engine.close().await;
}
