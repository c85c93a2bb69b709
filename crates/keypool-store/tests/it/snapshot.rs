//! What was put in comes out again, over a restart too.

use keypool_core::{FeatureNo, GrantId, Timestamp};
use keypool_store::{ChangeKind, LastNumbers, NewKey};

use crate::support::{NOON, batch, change, covers, draw, empty, grant, key, open, seeded};

#[tokio::test]
async fn an_empty_pool_has_nothing() {
    let snapshot = empty().await.store.load().await.unwrap();
    assert_eq!(snapshot.revision, 1);
    assert_eq!(snapshot.last, LastNumbers::default());
    assert_eq!(snapshot.latest_grant, None::<GrantId>);
    assert!(snapshot.features.is_empty() && snapshot.tiers.is_empty());
    assert!(snapshot.keys.is_empty() && snapshot.consumers.is_empty());
}

#[tokio::test]
async fn awkward_texts_come_out_as_they_went_in() {
    let fresh = seeded().await;
    let texts = [
        "it's \"quoted\" \\ back\\slashed",
        "line\nbreak\ttab\u{7f}\u{1}",
        "Grüße 🔑 \u{feff}\u{2028}\u{10ffff}",
        "{\"json\":[1,2]}",
        "[null]",
        "null",
        "12345678901234567890",
        "1e3",
        "enc:gcm:00ff",
        "enc:none:enc:gcm:2:ab:cd",
        "'); DROP TABLE keys; --",
        "nul\u{0}inside",
        " ",
        "",
    ];
    let awkward = |(no, text): (i64, &str)| NewKey {
        name: text.to_owned(),
        value: text.to_owned(),
        metadata: format!(
            r#"{{"big":12345678901234567890123, "z":1,  "a":{}}}"#,
            serde_json::json!(text)
        ),
        secrets: vec![(format!("a{text}"), text.to_owned()), (format!("b{text}"), String::new())],
        expires_at: Some(Timestamp::from_millis(NOON + 1)),
        ..key(no)
    };
    let keys: Vec<_> = (10..).zip(texts).map(awkward).collect();
    change(&fresh.store, 5, ChangeKind::AddKeys(keys.clone())).await;
    let snapshot = fresh.store.load().await.unwrap();
    for (stored, given) in snapshot.keys[3..].iter().zip(&keys) {
        assert_eq!((&stored.name, &stored.value), (&given.name, &given.value));
        assert_eq!((&stored.metadata, &stored.secrets), (&given.metadata, &given.secrets));
        assert_eq!((stored.expires_at, stored.active), (given.expires_at, true));
    }
}

#[tokio::test]
async fn the_pool_is_the_same_after_a_restart() {
    let fresh = seeded().await;
    fresh
        .store
        .commit_draws(&batch(5, &[draw(1, grant(1, 0)), draw(2, grant(1, 1))]))
        .await
        .unwrap();
    let before = fresh.store.load().await.unwrap();
    assert_eq!(before.revision, 5);
    assert_eq!(before.last, LastNumbers { tier: 2, feature: 2, key: 3, consumer: 1 });
    assert_eq!(before.tiers[0].features, covers(&[(1, 3, 60), (2, 1_000, 60)]));
    assert_eq!(before.tiers[1].features[0].0, FeatureNo::new(2));
    assert_eq!(
        (before.keys[2].usage_limit, before.keys[2].usage_window_secs),
        (Some(4), Some(100))
    );
    fresh.store.close().await;
    let again = open(&fresh.path()).await;
    assert_eq!(again.load().await.unwrap(), before);
    assert_eq!(again.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn nothing_that_holds_a_value_prints_it() {
    let fresh = seeded().await;
    let secrets = vec![("hook".to_owned(), "hidden-secret".to_owned())];
    let hidden = NewKey { value: "hidden-value".to_owned(), secrets, ..key(4) };
    let kind = ChangeKind::AddKeys(vec![hidden]);
    let printed = format!("{kind:?}");
    change(&fresh.store, 5, kind).await;
    let snapshot = fresh.store.load().await.unwrap();
    let consumer = format!("{:064x}", 1);
    for text in [printed, format!("{snapshot:?}")] {
        assert!(!text.contains("hidden") && !text.contains(&consumer), "{text}");
    }
}
