//! The Go program's database moves over: same values, secrets, tokens, counts, windows and events.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keypool_engine::{EncryptionKey, OpenError, Refusal, Sealer, Timestamp, UsageQuery};

use crate::support::*;

const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SIPHON_RUNNER: &str = "a130a6a91c925f3a4fac2b5530306d04fb694645c039df919bb699bef8bfb772";
const SERP_BOT: &str = "9c9102b940509626cc78140767b3dffe3f76b46cac651bd367dacec91a8b6069";
/// 2026-11-23T16:12:00Z, some forty seconds after the last event.
const SOON_AFTER: i64 = 1_795_450_320_000;

fn moved_in() -> Home {
    let home = Home::new();
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../keypool-store/tests/fixtures/keypooler-go-v1.db");
    std::fs::write(&home.path, std::fs::read(fixture).unwrap()).unwrap();
    home.clock.set_wall(Timestamp::from_millis(SOON_AFTER));
    home
}

fn sealer() -> Sealer {
    Sealer::with_key(EncryptionKey::parse_hex(ENCRYPTION_KEY).unwrap())
}

#[tokio::test]
async fn draws_the_same_values_with_its_own_tokens() {
    let home = moved_in();
    let engine = home.try_open(sealer()).await.unwrap();
    let siphon = engine.authenticate(SIPHON_RUNNER).unwrap();
    let mut drawn = BTreeMap::new();
    for _ in 0..5 {
        let served = engine.draw(siphon, "firecrawl_scrape").await.unwrap();
        let secrets: Vec<String> =
            served.secrets.iter().map(|s| format!("{}={}", s.name, s.value.expose())).collect();
        drawn.insert(served.value.expose().to_owned(), secrets.join(","));
    }
    let expected = [
        ("fc-A7-future", ""),
        ("fc-A7-plain-1", "webhook_secret=whsec-A7-1"),
        ("fc-A7-plain-2", "webhook_secret=whsec-A7-2"),
        ("fc-A7-plain-3", "webhook_secret=whsec-A7-3"),
    ];
    for (value, secrets) in expected {
        assert_eq!(drawn.get(value).map(String::as_str), Some(secrets), "{drawn:?}");
    }
    // The fifth is the sealed one; its secrets are sealed too, one of them beyond ASCII.
    let sealed: Vec<&String> =
        drawn.values().filter(|secrets| secrets.contains("extra=")).collect();
    assert_eq!(sealed.len(), 1, "{drawn:?}");
    assert!(!sealed[0].is_ascii());
    assert_eq!(refusal(engine.draw(siphon, "serp_search").await), Refusal::OutOfScope);
    engine.close().await;
}

#[tokio::test]
async fn keeps_counts_windows_and_events() {
    let home = moved_in();
    let engine = home.try_open(sealer()).await.unwrap();
    let counts: Vec<(String, u64)> =
        engine.keys().await.iter().map(|key| (key.name.to_string(), key.usage_count)).collect();
    let count = |name: &str| counts.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(counts.len(), 8);
    assert_eq!((count("firecrawl-01"), count("firecrawl-02"), count("firecrawl-03")), (4, 3, 3));
    assert_eq!((count("firecrawl-04"), count("serp-lifetime")), (0, 4));
    let resets: Vec<i64> = engine
        .keys()
        .await
        .iter()
        .filter_map(|key| key.usage_resets_at)
        .map(Timestamp::as_millis)
        .collect();
    let opened = [1_795_450_279_817, 1_795_450_279_824, 1_795_450_279_830];
    assert_eq!(resets, opened.map(|since| since + 2_592_000_000));
    let events = engine.usage(UsageQuery { limit: 100, ..Default::default() }).await.unwrap();
    assert_eq!(events.len(), 16);
    assert_eq!(events.iter().filter(|event| event.consumer_id == "admin").count(), 3);
    let serp_bot = engine.authenticate(SERP_BOT).unwrap();
    let mut lifetime_grants = 0;
    for _ in 0..10 {
        let served = engine.draw(serp_bot, "serp_search").await.unwrap();
        lifetime_grants += usize::from(served.value.expose() == "serp-A7-1");
    }
    assert_eq!(lifetime_grants, 3);
    engine.close().await;
    home.clock.advance(Duration::from_secs(1));
    let engine = home.try_open(sealer()).await.unwrap();
    assert_eq!(
        engine.usage(UsageQuery { limit: 100, ..Default::default() }).await.unwrap().len(),
        26
    );
    engine.close().await;
}

#[tokio::test]
async fn a_start_refused_for_its_encryption_key_or_clock_leaves_the_file_as_it_was() {
    let home = moved_in();
    let before = std::fs::read(&home.path).unwrap();
    let refused = home.try_open(Sealer::plain()).await.unwrap_err();
    assert!(matches!(refused, OpenError::KeyMissing { count: 4, .. }), "{refused:?}");
    let other = Sealer::with_key(EncryptionKey::parse_hex(&"7".repeat(64)).unwrap());
    let refused = home.try_open(other).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherKey { .. }), "{refused:?}");
    assert_eq!(std::fs::read(&home.path).unwrap(), before);
    home.clock.set_wall(Timestamp::from_millis(SOON_AFTER - 30 * 86_400_000));
    let refused = home.try_open(sealer()).await.unwrap_err();
    assert!(matches!(refused, OpenError::ClockBehind { .. }), "{refused:?}");
    assert_eq!(std::fs::read(&home.path).unwrap(), before);
    let beside: Vec<_> = std::fs::read_dir(home.path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("bak") || name.ends_with("-wal"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}
