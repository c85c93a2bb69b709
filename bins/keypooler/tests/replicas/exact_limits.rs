//! Promises 1, 2 and 3 over three replicas: under load every limit is used to its last unit, and no further.

use serde_json::{Value, json};

use crate::checker::check;
use crate::ledger::{Ledger, Outcome};
use crate::load::{Client, draw_while};
use crate::records;
use crate::sampler::{Windows, look_on};
use crate::stage::{Stage, pause};
use crate::support::ADMIN_TOKEN;

const CLIENTS: usize = 96;
const LASTS_MS: u64 = 9_000;
const UNLIMITED: i64 = 1_000_000_000;
const FEATURES: [&str; 5] = ["life", "second", "seconds", "budget", "both"];

type Kind = (&'static [&'static str], usize, [i64; 2], Option<i64>, Option<i64>);

/// Keys for each feature, their tier's rate limit and window, their budget and its window.
const POOL: [Kind; 4] = [
    (&["life"], 8, [UNLIMITED, 60], Some(250), None),
    (&["second", "seconds"], 3, [20, 1], None, None),
    (&["budget"], 2, [UNLIMITED, 60], Some(25), Some(2)),
    (&["both"], 2, [10, 1], Some(60), None),
];

#[test]
fn three_replicas_use_every_limit_to_its_last_unit_and_no_further() {
    let stage = Stage::with(3);
    let token = fill(&stage);
    let client = |number: usize| Client {
        replica: number % 3,
        token: if number.is_multiple_of(2) { ADMIN_TOKEN.to_owned() } else { token.clone() },
        feature: FEATURES[number / 3 % FEATURES.len()].to_owned(),
        patience_ms: 10,
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let (windows, (ledger, ())) =
        look_on(&stage.file(), || draw_while(&stage, &clients, || pause(LASTS_MS)));
    println!("{:?}, longest {:?}", ledger.summary(), ledger.longest());

    let failed = ledger.count(|entry| !matches!(entry.outcome.status(), 200 | 429));
    assert_eq!(failed, 0, "{:?}\n{}", ledger.summary(), stage.complaints());
    let verdict = check(&stage.file(), &ledger);
    assert_eq!(verdict.unrewarded(), 0, "{verdict:?}");
    for (feature, limits) in [("life", 8 * 250), ("both", 2 * 60)] {
        let granted = records::events(&stage.file());
        let granted = granted.iter().filter(|event| event.feature == feature).count();
        assert_eq!(granted, limits, "{feature}");
    }
    assert_every_window_was_full(&stage, &windows);
    assert_waits_are_told(&ledger);
}

/// Tiers and keys as in [`POOL`], and a consumer who may draw from all of them; its token.
fn fill(stage: &Stage) -> String {
    for (features, keys, [rate_limit, window], budget, budget_window) in POOL {
        let tier = features[0];
        let lengths = features.iter().zip(window..);
        let features: Value = lengths
            .map(|(feature, window)| {
                let limit = json!({"rate_limit": rate_limit, "window_seconds": window});
                ((*feature).to_owned(), limit)
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        stage.admin(0, "POST", "/admin/tiers", &json!({"name": tier, "features": features}));
        let key = |number| {
            let name = format!("{tier}-{number}");
            json!({"name": name, "key": "v", "tier": tier, "usage_limit": budget, "usage_window_seconds": budget_window})
        };
        let keys = (0..keys).map(key).collect::<Vec<_>>();
        stage.admin(1, "POST", "/admin/keys", &keys.into());
    }
    let scopes: Vec<_> = POOL.iter().map(|(features, ..)| features[0]).collect();
    let consumer = json!({"name": "c"});
    let consumer = stage.admin(2, "POST", "/admin/consumers", &consumer);
    for tier in scopes {
        let path = format!("/admin/consumers/{}/scopes", consumer["id"].as_str().unwrap());
        stage.admin(2, "POST", &path, &json!({"tier": tier}));
    }
    consumer["token"].as_str().unwrap().to_owned()
}

/// The load suffices: each window that ended was used up, and the next one opened with the first grant after it.
fn assert_every_window_was_full(stage: &Stage, windows: &Windows) {
    let events = records::events(&stage.file());
    for limit in records::limits(&stage.file()) {
        let Some(window_ms) = limit.window_ms.filter(|_| limit.most < UNLIMITED) else { continue };
        let feature = limit.feature.clone().unwrap_or_default();
        let opened = &windows[&(limit.key_name.clone(), feature.clone())];
        let starts: Vec<_> = opened.keys().copied().collect();
        assert!(starts.windows(2).all(|two| two[1] - two[0] >= window_ms), "{limit:?} {opened:?}");
        assert!(opened.values().all(|used| *used <= limit.most), "{limit:?} {opened:?}");
        let ended = opened.len() - 1;
        assert!(
            opened.values().take(ended).all(|used| *used == limit.most),
            "{limit:?} {opened:?}"
        );
        let of_limit = |event: &&records::Event| {
            event.key_name == limit.key_name && (feature.is_empty() || event.feature == feature)
        };
        let counted = i64::try_from(events.iter().filter(of_limit).count()).unwrap();
        assert_eq!(opened.values().sum::<i64>(), counted, "{limit:?} {opened:?}");
        println!("{} {feature}: {} windows of {window_ms} ms", limit.key_name, opened.len());
        if limit.feature.as_deref() != Some("both") {
            let lasts = i64::try_from(LASTS_MS).unwrap() * 8 / 10;
            assert!(
                i64::try_from(opened.len()).unwrap() >= lasts / window_ms,
                "{limit:?} {opened:?}"
            );
        }
    }
}

/// Promise 7: a refusal that time heals says when, and none is longer than its window.
fn assert_waits_are_told(ledger: &Ledger) {
    for entry in &ledger.entries {
        let Outcome::Refused { code, retry_after_secs, .. } = &entry.outcome else { continue };
        let longest = match entry.feature.as_str() {
            "second" | "both" => 1,
            _ => 2,
        };
        match code.as_str() {
            "no_usable_key" => assert_eq!(*retry_after_secs, None, "{entry:?}"),
            _ => assert!(
                retry_after_secs.is_some_and(|secs| secs >= 1 && secs <= longest),
                "{entry:?}"
            ),
        }
    }
}
