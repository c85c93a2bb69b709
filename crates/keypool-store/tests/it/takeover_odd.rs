//! Odd rows of the Go program's database: kept, listed, and meaning what they meant there.

use keypool_core::{FeatureNo, TierNo};
use keypool_store::{KeyRow, Snapshot, TierFeature, UsageQuery};

use crate::support::{open, original, prospect, rows};

const ODD: &str = "
    INSERT INTO tiers (id, name, created_at) VALUES ('odd', 'odd', 'yesterday'), (X'6f6464', 'twin', NULL);
    INSERT INTO tier_features VALUES ('odd', 'zero', 0, 0), ('odd', 'minus', -5, -5), ('odd', 'vast', 9e18, 9300000000),
        ('odd', 'text', 'many', 'long'), ('odd', 'a b/ü!', 1, 1), ('odd', X'7a65726f', 3, 3), ('gone', 'lost', 1, 1),
        ('odd', 'real', 2.5, 1.5), ('odd', X'', X'31', X'3132');
    INSERT INTO keys (id, name, key_value, tier_id, is_active, usage_limit, usage_count, usage_window_seconds,
            usage_window_start, metadata_json, created_at) VALUES
        ('k-zero', 'zero', 'v', 'odd', 1, 0, -3, 0, NULL, '{}', NULL),
        ('k-vast', 'vast', 'v', 'odd', 1, 9e18, 9e18, 9300000000, '2026-11-23 16:11:19', '{}', '2026-11-24 00:00:00'),
        ('k-text', 'text', X'76ff', 'odd', 'yes', 'lots', 'few', 'long', NULL, '[1]', '2026-11-24 00:00:01'),
        ('k-loose', 'loose', 'v', 'gone', 2, NULL, 6, 100, '2026-11-23 16:11:19', 'not json', '2026-11-24 00:00:02'),
        ('k-empty', '', 'v', 'odd', 0, 5, 2, -1, '2026-11-23 16:11:19', '', '2026-11-24 00:00:03'),
        (X'6b2d7a65726f', 'twin', 'v', 'odd', 1, NULL, 0, NULL, NULL, X'7b7d', '2026-11-24 00:00:04'),
        (NULL, 'nameless', 'v', 'odd', 1, NULL, 0, NULL, NULL, '{\"a\":1}', '2026-11-24 00:00:05');
    INSERT INTO key_secrets VALUES ('k-gone', 's', 'lost-secret'), ('k-zero', 's', 'kept'), ('k-zero', X'73', 'second'),
        ('k-zero', 'blob', X'ff');
    INSERT INTO consumers (id, name, token_hash, is_active, created_at) VALUES
        ('c-odd', 'odd', 'NOT HEX', 7, 17), ('admin', 'admin', 'h', 1, '2026-11-24 00:00:00'),
        ('c-twin', X'6f6464', 'h', '1', '2026-11-24 00:00:01');
    INSERT INTO consumer_scopes VALUES ('c-gone', 'odd'), ('c-odd', 'gone'), ('c-odd', 'odd'), (X'632d6f6464', 'odd');
    INSERT INTO usage_events (id, key_id, consumer_id, feature, created_at) VALUES
        ('e1', 'k-lost', 'c-lost', 'forgotten', '2026-11-25 00:00:00'),
        ('e2', 'k-lost', NULL, 'zero', '2026-11-25 00:00:00'),
        ('e3', 'k-zero', 'c-odd', 'zero', 'some time'), ('e4', 'k-zero', 'admin', X'7a65726f', NULL),
        (NULL, 'k-zero', '', 'zero', '2026-11-24 00:00:00'), ('e6', 'k-zero', 'admin', 'zero', '1960-01-01 00:00:00'),
        ('e7', 'k-vast', 'admin', 'zero', '3000-01-01 00:00:00');";

async fn taken_over() -> (tempfile::TempDir, std::path::PathBuf, keypool_store::Store, Snapshot) {
    let (folder, path) = original(ODD).await;
    let store = open(&path).await;
    let snapshot = store.load().await.unwrap();
    (folder, path, store, snapshot)
}

fn key<'a>(snapshot: &'a Snapshot, id: &str) -> &'a KeyRow {
    snapshot.keys.iter().find(|key| key.id == id).unwrap_or_else(|| panic!("{id} is there"))
}

#[tokio::test]
async fn limits_and_windows_mean_what_they_meant() {
    let (_folder, _path, _store, snapshot) = taken_over().await;
    let odd = snapshot.tiers.iter().find(|tier| tier.id == "odd").unwrap();
    let name =
        |no: FeatureNo| snapshot.features.iter().find(|(found, _)| *found == no).unwrap().1.clone();
    let mut covered: Vec<_> = odd
        .features
        .iter()
        .map(|(no, TierFeature { rate_limit, window_secs })| (name(*no), *rate_limit, *window_secs))
        .collect();
    covered.sort();
    let expected = [
        ("", 1, 12),
        ("a b/ü!", 1, 1),
        ("minus", 0, 60),
        ("real", 2, 1),
        ("text", 0, 60),
        ("vast", 1_000_000_000, 31_622_400),
        ("zero", 0, 60),
    ];
    assert_eq!(covered, expected.map(|(name, limit, window)| (name.to_owned(), limit, window)));

    let budget = |id| {
        let key = key(&snapshot, id);
        (key.usage_limit, key.usage_count, key.usage_window_secs, key.usage_window_start.is_some())
    };
    assert_eq!(budget("k-zero"), (Some(0), 0, None, false));
    let most = 1_000_000_000_000_000;
    assert_eq!(budget("k-vast"), (Some(most), most, Some(316_224_000), true));
    assert_eq!(budget("k-text"), (Some(0), 0, None, false));
    assert_eq!(budget("k-loose"), (None, 6, None, false));
    assert_eq!(budget("k-empty"), (Some(5), 2, None, false));
}

#[tokio::test]
async fn only_an_is_active_of_1_is_active_and_values_are_kept_as_text() {
    let (_folder, path, _store, snapshot) = taken_over().await;
    let active = |id| key(&snapshot, id).active;
    let found = ["k-zero", "k-text", "k-loose", "k-empty"].map(active);
    assert_eq!(found, [true, false, false, false]);
    assert_eq!(
        rows(&path, "SELECT hex(key_value) FROM keys WHERE key_uuid = 'k-text'").await,
        ["76FF"]
    );
    assert_eq!(key(&snapshot, "k-text").value, "v\u{fffd}");
    assert_eq!(
        (key(&snapshot, "k-text").metadata.as_str(), key(&snapshot, "k-empty").metadata.as_str()),
        ("{}", "{}")
    );
    let consumer = |id: &str| snapshot.consumers.iter().find(|consumer| consumer.id == id).unwrap();
    assert!(!consumer("c-odd").active && consumer("c-twin").active);
    assert_eq!(consumer("c-odd").token_hash, "NOT HEX");
    assert_eq!(consumer("c-odd").created_at.as_millis(), 0);
    let odd = snapshot.tiers.iter().find(|tier| tier.id == "odd").unwrap();
    assert_eq!(consumer("c-odd").scopes, [odd.no]);
}

#[tokio::test]
async fn rows_with_one_id_as_text_are_all_kept() {
    let (_folder, _path, _store, snapshot) = taken_over().await;
    let ids: Vec<_> =
        snapshot.keys.iter().filter(|key| key.name == "twin" || key.name == "nameless").collect();
    assert_eq!((ids[0].id.as_str(), ids[1].id.as_str()), ("k-zero#14", ""));
    assert_eq!((ids[0].metadata.as_str(), ids[1].metadata.as_str()), ("{}", r#"{"a":1}"#));
    let names: Vec<_> =
        snapshot.tiers.iter().map(|tier| (tier.id.as_str(), tier.name.as_str())).collect();
    assert!(names.contains(&("odd", "odd")) && names.contains(&("odd#4", "twin")), "{names:?}");
    let consumers: Vec<_> =
        snapshot.consumers.iter().map(|c| (c.id.as_str(), c.name.as_str())).collect();
    assert!(
        consumers.contains(&("admin#4", "admin")) && consumers.contains(&("c-twin", "odd#5")),
        "{consumers:?}"
    );
    let secrets: Vec<_> = key(&snapshot, "k-zero")
        .secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(secrets, [("blob", "\u{fffd}"), ("s", "kept")]);
}

#[tokio::test]
async fn a_key_whose_tier_is_gone_stays_under_a_tier_without_a_name() {
    let (_folder, _path, _store, snapshot) = taken_over().await;
    let tier = key(&snapshot, "k-loose").tier;
    let gone = snapshot.tiers.iter().find(|row| row.no == tier).unwrap();
    assert_eq!((gone.id.as_str(), gone.name.as_str(), gone.features.len()), ("gone", "", 0));
    assert_eq!(
        snapshot.last.tier, 6,
        "firecrawl, serp, odd and its twin, gone, and one for the keys that vanished"
    );
    assert_ne!(tier, TierNo::new(snapshot.last.tier));
}

#[tokio::test]
async fn rows_that_belong_to_nothing_are_kept_aside() {
    let (_folder, path, _store, _snapshot) = taken_over().await;
    let mut orphans = rows(&path, "SELECT source || ' ' || original FROM orphans").await;
    orphans.sort();
    let expected = [
        r#"consumer_scopes {"consumer_id":"c-gone","tier_id":"odd"}"#,
        r#"consumer_scopes {"consumer_id":"c-odd","tier_id":"gone"}"#,
        r#"key_secrets {"key_id":"k-gone","name":"s","value":"lost-secret"}"#,
        r#"key_secrets {"key_id":"k-zero","name":"73","value":"second"}"#,
        r#"keys.metadata_json {"key_id":"k-empty","metadata_json":""}"#,
        r#"keys.metadata_json {"key_id":"k-loose","metadata_json":"not json"}"#,
        r#"keys.metadata_json {"key_id":"k-text","metadata_json":"[1]"}"#,
        r#"tier_features {"tier_id":"gone","feature":"lost","rate_limit":1,"window_seconds":1}"#,
        r#"tier_features {"tier_id":"odd","feature":"7A65726F","rate_limit":3,"window_seconds":3}"#,
    ];
    assert_eq!(orphans, expected);
}

#[tokio::test]
async fn events_of_what_vanished_stay_listed_under_the_original_ids() {
    let (_folder, path, store, snapshot) = taken_over().await;
    let events = store.list_usage(&UsageQuery { limit: 100, ..Default::default() }).await.unwrap();
    assert_eq!(events.len(), 16 + 7);
    let listed: Vec<_> = events
        .iter()
        .filter(|event| event.key_id.starts_with("k-"))
        .map(|e| {
            (
                e.key_id.as_str(),
                e.key_name.as_str(),
                e.consumer_id.as_str(),
                e.feature.as_str(),
                e.at.as_millis(),
            )
        })
        .collect();
    let expected = [
        ("k-vast", "vast", "admin", "zero", 4_398_046_511_102),
        ("k-lost", "", "", "zero", 1_795_564_800_000),
        ("k-lost", "", "c-lost", "forgotten", 1_795_564_800_000),
        ("k-zero", "zero", "", "zero", 1_795_478_400_000),
        ("k-zero", "zero", "admin", "zero", 0),
        ("k-zero", "zero", "admin", "zero", 0),
        ("k-zero", "zero", "c-odd", "zero", 0),
    ];
    assert_eq!(listed, expected);
    let of_lost = UsageQuery { limit: 100, key: Some("k-lost".to_owned()), ..Default::default() };
    assert_eq!(store.list_usage(&of_lost).await.unwrap().len(), 2);
    assert!(snapshot.keys.iter().all(|key| key.id != "k-lost"));
    assert_eq!(store.check_counters().await.unwrap(), []);
    assert_eq!(rows(&path, "SELECT \"table\" FROM pragma_foreign_key_check").await, [""; 0]);
    assert_eq!(rows(&path, "SELECT integrity_check FROM pragma_integrity_check").await, ["ok"]);
}

#[tokio::test]
async fn each_oddity_is_listed_and_none_names_a_value() {
    let (_folder, path) = original(ODD).await;
    let oddities = prospect(&path).await.oddities().await.unwrap();
    let mut found: Vec<_> =
        oddities.iter().map(|o| format!("{} {} {}: {}", o.table, o.id, o.name, o.what)).collect();
    found.sort();
    let expected = [
        "consumer_scopes c-gone odd: its consumer is gone: it is kept among the orphans",
        "consumer_scopes c-odd gone: its tier is gone: it is kept among the orphans",
        "consumers admin admin: its id is empty or, read as text, that of another row; it is kept under an id of its own",
        "consumers admin admin: its token_hash is no SHA-256 in lower-case hex: no token opens it",
        "consumers c-odd odd: its creation time cannot be read and counts as 1970",
        "consumers c-odd odd: its is_active is neither 0 nor 1: it counts as inactive",
        "consumers c-odd odd: its token_hash is no SHA-256 in lower-case hex: no token opens it",
        "consumers c-twin odd: its token_hash is no SHA-256 in lower-case hex: no token opens it",
        "key_secrets k-gone s: its key is gone: it is kept among the orphans",
        "keys  nameless: its id is empty or, read as text, that of another row; it is kept under an id of its own",
        "keys k-empty : its metadata is not a JSON object: it reads as {}, the original is kept among the orphans",
        "keys k-empty : its usage_window_seconds is 0 or less: the budget is for life",
        "keys k-loose loose: it has a usage_window_seconds but no usage_limit: the window means nothing and is dropped",
        "keys k-loose loose: its is_active is neither 0 nor 1: it counts as inactive",
        "keys k-loose loose: its metadata is not a JSON object: it reads as {}, the original is kept among the orphans",
        "keys k-loose loose: its tier is gone: it is kept and grants nothing",
        "keys k-text text: its is_active is neither 0 nor 1: it counts as inactive",
        "keys k-text text: its metadata is not a JSON object: it reads as {}, the original is kept among the orphans",
        "keys k-text text: its usage_count is not a whole number and is read as one",
        "keys k-text text: its usage_limit is not a whole number and is read as one",
        "keys k-text text: its usage_window_seconds is not a whole number and is read as one",
        "keys k-vast vast: its usage_count is too large: it counts as 1000000000000000",
        "keys k-vast vast: its usage_limit is too large: it counts as 1000000000000000",
        "keys k-vast vast: its usage_window_seconds is too large: it counts as 316224000",
        "keys k-zero twin: its id is empty or, read as text, that of another row; it is kept under an id of its own",
        "keys k-zero zero: its creation time cannot be read and counts as 1970",
        "keys k-zero zero: its id is empty or, read as text, that of another row; it is kept under an id of its own",
        "keys k-zero zero: its usage_count is below 0: it counts from 0",
        "keys k-zero zero: its usage_limit is 0 or less: it grants nothing",
        "keys k-zero zero: its usage_window_seconds is 0 or less: the budget is for life",
    ];
    let keys: Vec<_> = found
        .iter()
        .filter(|line| !line.starts_with("tier") && !line.starts_with("usage"))
        .collect();
    assert_eq!(keys, expected.iter().collect::<Vec<_>>());
    for expected in [
        "tier_features gone lost: its tier is gone: it is kept among the orphans and covers nothing",
        "tier_features odd a b/ü!: its name is outside of today's rules: it stays drawable",
        "tier_features odd minus: its rate_limit is 0 or less: it grants nothing",
        "tier_features odd minus: its window_seconds is 0 or less: the window is 60 s",
        "tier_features odd vast: its rate_limit is too large: it counts as 1000000000",
        "tier_features odd vast: its window_seconds is too large: it counts as 31622400",
        "tier_features odd text: its rate_limit is not a whole number and is read as one",
        "tiers odd odd: its creation time cannot be read and counts as 1970",
        "usage_events k-lost : 2 events are of a key that is gone: they stay listed under its id",
        "usage_events c-lost : 1 events are of a consumer that is gone: they stay listed under its id",
        "usage_events  : 4 events are of a moment that cannot be read, or that no id can hold: the nearest one counts",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected} is missing from {found:#?}");
    }
    assert!(!found.iter().any(|line| line.contains("lost-secret")));
}

#[tokio::test]
async fn a_plain_value_that_would_look_tagged_is_tagged_as_plain() {
    let (_folder, path) = original(
        "UPDATE keys SET key_value = 'enc:none:v' WHERE name = 'serp-lifetime';
        UPDATE keys SET key_value = 'enc:v' WHERE name = 'firecrawl-01';
        INSERT INTO key_secrets SELECT id, 's', 'enc:none:' FROM keys WHERE name = 'serp-lifetime';",
    )
    .await;
    let snapshot = open(&path).await.load().await.unwrap();
    let named = |name| snapshot.keys.iter().find(|key| key.name == name).unwrap();
    assert_eq!(named("serp-lifetime").value, "enc:none:enc:none:v");
    assert_eq!(named("serp-lifetime").secrets, [("s".to_owned(), "enc:none:enc:none:".to_owned())]);
    assert_eq!(named("firecrawl-01").value, "enc:v");
}
