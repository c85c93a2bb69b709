//! The Go program's database is taken over in place, and every row of it is there after.

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, ReplicaNo, TierNo, Timestamp};
use keypool_store::{
    BudgetCharge, DrawBatch, EventRow, KeyRow, RateCharge, TierFeature, UsageQuery, WriteError,
};

use crate::support::{open, original, rows};

/// 2026-11-23 16:11:19 UTC, when the fixture was made.
const MADE: i64 = 1_795_450_279_000;

#[tokio::test]
async fn every_key_keeps_value_secrets_count_window_and_expiry() {
    let (_folder, path) = original("SELECT 1").await;
    let store = open(&path).await;
    let keys = store.load().await.unwrap().keys;
    let summary = |key: &KeyRow| {
        let ms = |moment: Timestamp| moment.as_millis();
        (
            key.name.clone(),
            key.value.clone(),
            key.tier.get(),
            (
                key.usage_limit,
                key.usage_count,
                key.usage_window_secs,
                key.usage_window_start.map(ms),
            ),
            key.expires_at.map(ms),
        )
    };
    let month = Some(2_592_000);
    let sealed = "enc:gcm:0409a5cc4975949465036d095c503745dfc8706717d4d6643a7bbbc71e0cf51690f68d07f9324e0b323c";
    let serp = "enc:gcm:1ec3c426f912d2c56aea1aa3aae213d64fa53078caf23f58fd333e000ed74897ea147abd31033561b6fbc13f";
    let expected = [
        ("firecrawl-01", "fc-A7-plain-1", 1, (Some(1_000), 4, month, Some(MADE + 817)), None),
        ("firecrawl-02", "fc-A7-plain-2", 1, (Some(1_000), 3, month, Some(MADE + 824)), None),
        ("firecrawl-03", "fc-A7-plain-3", 1, (Some(1_000), 3, month, Some(MADE + 830)), None),
        ("firecrawl-expired", "fc-A7-expired", 1, (None, 0, None, None), Some(1_769_860_800_000)),
        ("firecrawl-future", "fc-A7-future", 1, (None, 0, None, None), Some(4_102_437_599_000)),
        ("serp-lifetime", "serp-A7-1", 2, (Some(7), 4, None, None), None),
        ("firecrawl-04", sealed, 1, (Some(2), 0, None, None), None),
        ("serp-sealed", serp, 2, (None, 0, None, None), None),
    ];
    let expected = expected.map(|(name, value, tier, usage, expiry)| {
        (name.to_owned(), value.to_owned(), tier, usage, expiry)
    });
    assert_eq!(keys.iter().map(summary).collect::<Vec<_>>(), expected);

    assert!(keys.iter().all(|key| key.active));
    assert_eq!(keys[0].id, "d3fdb075-ac18-47e4-ba77-a21b77f7dd4f");
    assert_eq!(keys[1].metadata, r#"{"account":"acc2@example.com","n":2}"#);
    assert_eq!(
        (keys[0].created_at.as_millis(), keys[7].created_at.as_millis()),
        (MADE, MADE + 2_000)
    );
    assert_eq!(keys[2].secrets, [("webhook_secret".to_owned(), "whsec-A7-3".to_owned())]);
    let names: Vec<_> = keys[6]
        .secrets
        .iter()
        .map(|(name, text)| (name.as_str(), text.get(..14).unwrap()))
        .collect();
    assert_eq!(names, [("extra", "enc:gcm:46d5a1"), ("webhook_secret", "enc:gcm:cfbaa9")]);
    assert_eq!(store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn tiers_features_consumers_and_scopes_stay() {
    let (_folder, path) = original("SELECT 1").await;
    let snapshot = open(&path).await.load().await.unwrap();
    let features: Vec<_> =
        snapshot.features.iter().map(|(no, name)| (no.get(), name.as_str())).collect();
    assert_eq!(features, [(1, "firecrawl_scrape"), (2, "firecrawl_search"), (3, "serp_search")]);
    let covers =
        |no, rate_limit, window_secs| (FeatureNo::new(no), TierFeature { rate_limit, window_secs });
    assert_eq!(snapshot.tiers[0].features, [covers(1, 10, 60), covers(2, 5, 60)]);
    assert_eq!(snapshot.tiers[1].features, [covers(3, 100, 3_600)]);
    assert_eq!(snapshot.tiers[0].description, "Firecrawl pooled free-tier accounts");
    assert_eq!(snapshot.tiers[0].id, "450c0bdb-d727-4814-b1f8-72dd20fd79e3");
    assert_eq!(
        (snapshot.tiers[0].name.as_str(), snapshot.tiers[1].name.as_str()),
        ("firecrawl", "serp")
    );
    let consumers: Vec<_> = snapshot
        .consumers
        .iter()
        .map(|c| {
            (
                c.name.as_str(),
                c.description.as_str(),
                c.token_hash.get(..8).unwrap(),
                c.scopes[0],
                c.active,
            )
        })
        .collect();
    let expected = [
        ("siphon-runner", "firecrawl via rotation", "172d6993", TierNo::new(1), true),
        ("serp-bot", "", "cad96603", TierNo::new(2), true),
    ];
    assert_eq!(consumers, expected);
    assert_eq!(snapshot.consumers[0].token_hash.len(), 64);
}

#[tokio::test]
async fn every_event_stays_in_order_and_the_rotation_goes_on_from_them() {
    let (_folder, path) = original("SELECT 1").await;
    let of_old = "SELECT printf('%s %s %s %s', key_id, consumer_id, feature, created_at) FROM usage_events ORDER BY rowid DESC";
    let old = rows(&path, of_old).await;
    let store = open(&path).await;
    let events = store.list_usage(&UsageQuery { limit: 100, ..Default::default() }).await.unwrap();
    let written = |ms: i64| if ms == MADE { "2026-11-23 16:11:19" } else { "2026-11-23 16:11:21" };
    let new: Vec<_> = events
        .iter()
        .map(|e| {
            format!("{} {} {} {}", e.key_id, e.consumer_id, e.feature, written(e.at.as_millis()))
        })
        .collect();
    assert_eq!(new, old);
    assert_eq!(events.len(), 16);
    assert_eq!(
        (events[0].consumer_name.as_str(), events[0].key_name.as_str()),
        ("admin", "firecrawl-03")
    );
    assert_eq!(events[0].at.as_millis(), MADE + 2_000);

    let snapshot = store.load().await.unwrap();
    assert_eq!(snapshot.latest_grant, Some(events[0].id));
    let first = &snapshot.keys[0];
    assert_eq!(first.no, KeyNo::new(1));
    let counters: Vec<_> = first
        .counters
        .iter()
        .map(|c| (c.feature.get(), c.window_start, c.used, c.last_grant))
        .collect();
    let last = |second: i64, number: i64| Some(GrantId::new(((MADE + second) << 21) + number));
    assert_eq!(counters, [(1, None, 0, last(0, 9)), (2, None, 0, last(2_000, 1))]);
}

#[tokio::test]
async fn moments_of_every_shape_are_read() {
    let shapes = [
        ("2026-11-23 16:11:19", MADE),
        ("2026-11-23 16:11:19.81736406+00:00", MADE + 817),
        ("2026-11-23 18:11:19.81736406+02:00", MADE + 817),
        ("2026-11-23 12:41:19.9999-03:30", MADE + 999),
        ("2026-01-31 12:00:00 +0000 UTC", 1_769_860_800_000),
        ("2026-11-23 16:11:19.81736406 +0000 UTC m=+0.812345678", MADE + 817),
        ("2026-11-23 18:11:19.8 +0200 CEST m=+12.000000001", MADE + 800),
        ("2099-12-31 23:59:59 +0200 +0200", 4_102_437_599_000),
        ("2026-11-23 08:11:19 -0800 PST", MADE),
        ("2026-11-23T16:11:19.5Z", MADE + 500),
        ("1969-12-31 23:59:59.25 +0000 UTC", -750),
        ("0001-01-01 00:00:00 +0000 UTC", -62_135_596_800_000),
        ("9999-12-31 23:59:59.999999999 +0000 UTC", 253_402_300_799_999),
    ];
    for (written, ms) in shapes {
        let (_folder, path) = original(&format!(
            "UPDATE keys SET expires_at = '{written}', created_at = '{written}', usage_window_start = '{written}';
             UPDATE consumers SET created_at = '{written}'"
        ))
        .await;
        let snapshot = open(&path).await.load().await.unwrap();
        assert_eq!(snapshot.keys[0].expires_at.unwrap().as_millis(), ms, "{written}");
        assert_eq!(snapshot.keys[0].usage_window_start.unwrap().as_millis(), ms, "{written}");
        assert_eq!(snapshot.keys[0].created_at.as_millis(), ms, "{written}");
        assert_eq!(snapshot.consumers[0].created_at.as_millis(), ms, "{written}");
    }
}

#[tokio::test]
async fn counts_go_on_from_the_original_until_their_window_ends() {
    let (_folder, path) = original("SELECT 1").await;
    let store = open(&path).await;
    let month = 2_592_000_000;
    let opened = Timestamp::from_millis(MADE + 817);
    let at = |ms: i64| GrantId::compose(Timestamp::from_millis(ms), ReplicaNo::MAX, 0).unwrap();
    let draw = |id: GrantId, since: Timestamp| {
        let (key, feature) = (KeyNo::new(1), FeatureNo::new(1));
        DrawBatch {
            sent_at: None,
            revision: 1,
            events: vec![EventRow { id, key, consumer: ConsumerNo::new(0), feature }],
            rates: vec![RateCharge { key, feature, since: id.at(), count: 1, first: id, last: id }],
            budgets: vec![BudgetCharge { key, since: Some(since), count: 1, first: id, last: id }],
        }
    };
    store.commit_draws(&draw(at(MADE + 9_000_000), opened)).await.unwrap();
    assert_eq!(store.load().await.unwrap().keys[0].usage_count, 5);
    assert_eq!(store.check_counters().await.unwrap(), []);
    let next = Timestamp::from_millis(MADE + 817 + month);
    let early = Timestamp::from_millis(MADE + 816 + month);
    let refused = store.commit_draws(&draw(at(early.as_millis()), early)).await;
    assert!(matches!(refused, Err(WriteError::Spent)), "{refused:?}");
    store.commit_draws(&draw(at(next.as_millis()), next)).await.unwrap();
    let key = store.load().await.unwrap().keys.remove(0);
    assert_eq!((key.usage_count, key.usage_window_start), (1, Some(next)));
    assert_eq!(store.check_counters().await.unwrap(), []);
}
