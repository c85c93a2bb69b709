//! Every kind of admin change: applied whole, on the revision that it was decided on, or not at all.

#![expect(clippy::disallowed_methods, reason = "measures how long adding many keys takes")]

use keypool_core::{ConsumerNo, FeatureNo, KeyNo, TierNo};
use keypool_store::{ChangeKind, NewKey, TierUpdate, WriteError};

use crate::support::{
    at_noon, batch, change, consumer, covers, draw, dump, empty, grant, is_recorded, key, rows,
    seeded, tier, update,
};

#[tokio::test]
async fn a_change_raises_the_revision_by_one() {
    let fresh = empty().await;
    assert_eq!(fresh.store.revision().await.unwrap(), 1);
    change(&fresh.store, 1, ChangeKind::AddTier(tier(1, "fire", &[(1, 3, 60)], &[(1, "search")])))
        .await;
    assert_eq!(fresh.store.revision().await.unwrap(), 2);
}

#[tokio::test]
async fn a_change_that_was_decided_on_another_revision_changes_nothing() {
    let fresh = seeded().await;
    let before = dump(&fresh.path()).await;
    let kinds = [
        ChangeKind::AddTier(tier(3, "late", &[(3, 1, 1)], &[(3, "late")])),
        ChangeKind::UpdateTier(TierUpdate {
            description: Some("late".to_owned()),
            features: Some(covers(&[(1, 9, 9)])),
            ..update(1)
        }),
        ChangeKind::DeleteTier(TierNo::new(2)),
        ChangeKind::AddKeys(vec![key(9)]),
        ChangeKind::DeleteKey(KeyNo::new(1)),
        ChangeKind::AddConsumer(consumer(9, "late", &[])),
        ChangeKind::DeleteConsumer(ConsumerNo::new(1)),
        ChangeKind::AddScope { consumer: ConsumerNo::new(1), tier: TierNo::new(2) },
        ChangeKind::RemoveScope { consumer: ConsumerNo::new(1), tier: TierNo::new(1) },
    ];
    for kind in kinds {
        for base in [4, 6] {
            let refused = fresh.store.change(&at_noon(base, kind.clone())).await;
            assert!(matches!(refused, Err(WriteError::Stale)), "{kind:?}: {refused:?}");
        }
    }
    assert_eq!(dump(&fresh.path()).await, before);
}

#[tokio::test]
async fn a_change_that_fails_half_way_changes_nothing() {
    let fresh = seeded().await;
    let before = dump(&fresh.path()).await;
    let kinds = [
        ChangeKind::AddTier(tier(3, "fire", &[(1, 1, 1)], &[])),
        ChangeKind::AddTier(tier(3, "new", &[(99, 1, 1)], &[(3, "named")])),
        ChangeKind::AddKeys(vec![key(8), key(9), key(1)]),
        ChangeKind::AddKeys(vec![NewKey { tier: TierNo::new(99), ..key(9) }]),
        ChangeKind::DeleteKey(KeyNo::new(99)),
        ChangeKind::AddConsumer(consumer(9, "bot", &[])),
        ChangeKind::AddConsumer(consumer(9, "new", &[99])),
        ChangeKind::DeleteConsumer(ConsumerNo::new(99)),
        ChangeKind::DeleteConsumer(ConsumerNo::new(0)),
        ChangeKind::AddScope { consumer: ConsumerNo::new(99), tier: TierNo::new(1) },
        ChangeKind::UpdateTier(TierUpdate {
            new_features: vec![(FeatureNo::new(7), "seven".to_owned())],
            ..update(99)
        }),
        ChangeKind::UpdateTier(TierUpdate { name: Some("ice".to_owned()), ..update(1) }),
        ChangeKind::DeleteTier(TierNo::new(1)),
        ChangeKind::DeleteTier(TierNo::new(99)),
    ];
    for kind in kinds {
        let refused = fresh.store.change(&at_noon(5, kind.clone())).await;
        assert!(matches!(refused, Err(WriteError::Failed(_))), "{kind:?}: {refused:?}");
        assert_eq!(dump(&fresh.path()).await, before, "{kind:?}");
    }
}

#[tokio::test]
async fn a_tier_is_replaced_in_what_is_given() {
    let fresh = seeded().await;
    let described = TierUpdate { description: Some("hotter".to_owned()), ..update(1) };
    change(&fresh.store, 5, ChangeKind::UpdateTier(described)).await;
    let covering = TierUpdate { features: Some(covers(&[(2, 7, 70)])), ..update(1) };
    change(&fresh.store, 6, ChangeKind::UpdateTier(covering)).await;
    let tier = fresh.store.load().await.unwrap().tiers.remove(0);
    assert_eq!((tier.name.as_str(), tier.description.as_str()), ("fire", "hotter"));
    assert_eq!(tier.features, covers(&[(2, 7, 70)]));
    let named = TierUpdate {
        name: Some("flame".to_owned()),
        features: Some(covers(&[(2, 7, 70), (3, 8, 80)])),
        new_features: vec![(FeatureNo::new(3), "map".to_owned())],
        ..update(1)
    };
    change(&fresh.store, 7, ChangeKind::UpdateTier(named)).await;
    let snapshot = fresh.store.load().await.unwrap();
    let tier = &snapshot.tiers[0];
    assert_eq!((tier.name.as_str(), tier.description.as_str()), ("flame", "hotter"));
    assert_eq!(tier.features, covers(&[(2, 7, 70), (3, 8, 80)]));
    assert_eq!(snapshot.features[2], (FeatureNo::new(3), "map".to_owned()));
}

#[tokio::test]
async fn a_deleted_tier_goes_with_its_scopes_and_leaves_its_number_and_the_events() {
    let fresh = seeded().await;
    let (consumer, tier_2) = (ConsumerNo::new(1), TierNo::new(2));
    change(&fresh.store, 5, ChangeKind::AddScope { consumer, tier: tier_2 }).await;
    change(&fresh.store, 6, ChangeKind::AddKeys(vec![NewKey { tier: tier_2, ..key(4) }])).await;
    fresh.store.commit_draws(&batch(7, &[draw(4, grant(1, 0))])).await.unwrap();
    let refused = fresh.store.change(&at_noon(7, ChangeKind::DeleteTier(tier_2))).await;
    assert!(matches!(refused, Err(WriteError::Failed(_))), "it holds a key: {refused:?}");
    change(&fresh.store, 7, ChangeKind::DeleteKey(KeyNo::new(4))).await;
    change(&fresh.store, 8, ChangeKind::DeleteTier(tier_2)).await;

    let since = fresh.store.load_since(8, FeatureNo::new(2)).await.unwrap();
    assert_eq!(since.gone.tiers, [tier_2]);
    assert_eq!(since.consumers[0].scopes, [TierNo::new(1)], "the consumer was changed with it");
    let whole = fresh.store.load().await.unwrap();
    assert_eq!(whole.tiers.iter().map(|tier| tier.no.get()).collect::<Vec<_>>(), [1]);
    assert_eq!((whole.consumers[0].scopes.len(), whole.last.tier), (1, 2));
    assert!(is_recorded(&fresh.store, grant(1, 0)).await);
    assert_eq!(rows(&fresh.path(), "SELECT count(*) || '' FROM tier_features").await, ["2"]);
    change(&fresh.store, 9, ChangeKind::AddTier(tier(3, "ice", &[(2, 1, 1)], &[]))).await;
}

#[tokio::test]
async fn a_deleted_key_leaves_its_name_and_number_and_nothing_secret() {
    let fresh = seeded().await;
    let metadata = r#"{"account":"hidden-account"}"#.to_owned();
    let secrets = vec![("hook".to_owned(), "hidden-secret".to_owned())];
    let secret = NewKey { value: "hidden-value".to_owned(), metadata, secrets, ..key(4) };
    change(&fresh.store, 5, ChangeKind::AddKeys(vec![secret])).await;
    fresh.store.commit_draws(&batch(6, &[draw(4, grant(1, 0))])).await.unwrap();
    change(&fresh.store, 6, ChangeKind::DeleteKey(KeyNo::new(4))).await;
    let again = fresh.store.change(&at_noon(7, ChangeKind::DeleteKey(KeyNo::new(4)))).await;
    assert!(matches!(again, Err(WriteError::Failed(_))));

    let snapshot = fresh.store.load().await.unwrap();
    assert!(snapshot.keys.iter().all(|row| row.no != KeyNo::new(4)));
    assert_eq!(snapshot.last.key, 4, "its number is not given again");
    let everything = dump(&fresh.path()).await.join("\n");
    assert!(everything.contains("name of 4"));
    assert!(!everything.contains("hidden"), "value, secret and metadata are gone");
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
    fresh.store.close().await;
    let file = std::fs::read(fresh.path()).unwrap();
    assert!(
        !file.windows(6).any(|bytes| bytes == b"hidden"),
        "they are gone from the file as well"
    );
}

#[tokio::test]
async fn a_deleted_consumer_leaves_its_name_and_its_name_is_free_again() {
    let fresh = seeded().await;
    change(&fresh.store, 5, ChangeKind::DeleteConsumer(ConsumerNo::new(1))).await;
    assert_eq!(fresh.store.load().await.unwrap().consumers, []);
    let left = rows(
        &fresh.path(),
        "SELECT name || coalesce(token_digest, '-') FROM consumers WHERE consumer_no = 1",
    )
    .await;
    assert_eq!(left, ["bot-"]);
    change(&fresh.store, 6, ChangeKind::AddConsumer(consumer(2, "bot", &[2]))).await;
    change(&fresh.store, 7, ChangeKind::AddConsumer(consumer(3, "admin", &[]))).await;
    let snapshot = fresh.store.load().await.unwrap();
    assert_eq!(snapshot.consumers[0].scopes, [TierNo::new(2)]);
    assert_eq!(snapshot.last.consumer, 3);
}

#[tokio::test]
async fn a_scope_is_granted_and_revoked_and_twice_is_harmless() {
    let fresh = seeded().await;
    let (consumer, tier) = (ConsumerNo::new(1), TierNo::new(2));
    for base in [5, 6] {
        change(&fresh.store, base, ChangeKind::AddScope { consumer, tier }).await;
    }
    let scopes = fresh.store.load().await.unwrap().consumers.remove(0).scopes;
    assert_eq!(scopes, [TierNo::new(1), TierNo::new(2)]);
    for base in [7, 8] {
        change(&fresh.store, base, ChangeKind::RemoveScope { consumer, tier }).await;
    }
    assert_eq!(fresh.store.load().await.unwrap().consumers[0].scopes, [TierNo::new(1)]);
}

#[tokio::test]
async fn ten_thousand_keys_are_added_at_once() {
    let fresh = seeded().await;
    let secrets =
        vec![("hook".to_owned(), "shh".to_owned()), ("salt".to_owned(), "pepper".to_owned())];
    let keys = (10..10_010).map(|no| NewKey { secrets: secrets.clone(), ..key(no) }).collect();
    let start = std::time::Instant::now();
    change(&fresh.store, 5, ChangeKind::AddKeys(keys)).await;
    println!("10,000 keys with 20,000 secrets were added in {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let snapshot = fresh.store.load().await.unwrap();
    println!("10,003 keys were loaded in {:?}", start.elapsed());
    assert_eq!(snapshot.keys.len(), 10_003);
    assert_eq!(snapshot.keys[10_002].secrets, secrets);
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn replicas_get_numbers_in_turn_and_the_first_again_after_the_last() {
    let fresh = empty().await;
    for expected in [1, 2, 3] {
        assert_eq!(fresh.store.issue_replica().await.unwrap().get(), expected);
    }
    crate::support::run(&fresh.path(), "UPDATE pool SET last_replica = 1022").await;
    for expected in [1_023, 0, 1] {
        assert_eq!(fresh.store.issue_replica().await.unwrap().get(), expected);
    }
}
