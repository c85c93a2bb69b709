//! Promise 1 where clocks disagree: the database's is the one to go by.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::checker::check;
use crate::load::{Client, draw_while};
use crate::records;
use crate::stage::{Stage, pause};
use crate::support::ADMIN_TOKEN;

const APART_MS: i64 = 300_000;
/// A replica knows the database's clock to half the time that an answer takes.
const NEAR_MS: i64 = 1_000;
/// What `faketime` preloads, where it is installed; `KEYPOOL_TEST_FAKETIME` names it elsewhere.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

#[test]
fn replicas_whose_clocks_are_minutes_apart_keep_every_limit_by_the_databases_clock() {
    let given = std::env::var("KEYPOOL_TEST_FAKETIME").ok();
    let library = given.into_iter().chain(FAKETIME.map(str::to_owned));
    let Some(library) = library.into_iter().find(|path| Path::new(path).exists()) else {
        println!("skipped: libfaketime is not installed");
        return;
    };
    let mut stage = Stage::empty(|_| {});
    for offset in ["+0s", "+300s", "-300s"] {
        let fake = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME", offset),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        stage.add_replica(&fake);
    }
    for replica in stage.replicas() {
        println!("{}", replica.server().log().lines().next().unwrap_or_default());
    }
    let from = now_ms();
    load(&stage, 4_000, || {});
    assert_times_are_near(&stage, from, now_ms());
}

#[test]
fn a_database_whose_clock_is_minutes_ahead_is_believed() {
    let stage = {
        let mut stage = Stage::empty(|_| {});
        stage.faults().skew_clock(APART_MS);
        (0..3).for_each(|_| stage.add_replica(&[]));
        stage
    };
    let from = stage.faults().clock_ms();
    assert!((from - APART_MS - now_ms()).abs() < NEAR_MS);
    load(&stage, 3_000, || {});
    assert_times_are_near(&stage, from, stage.faults().clock_ms());
}

#[test]
fn a_database_whose_clock_jumps_is_served_on_within_every_limit() {
    let stage = Stage::with(3);
    for jump_ms in [APART_MS, -APART_MS] {
        load(&stage, 2_500, || stage.faults().skew_clock(jump_ms));
    }
}

/// Draws on a rate limit of one second and one of two, and checks the limits; `then` comes to pass in the middle.
fn load(stage: &Stage, lasts_ms: u64, then: impl FnOnce()) {
    if stage.ask(0, "GET", "/admin/tiers", ADMIN_TOKEN, None).json() == json!([]) {
        let features = json!({
            "second": {"rate_limit": 15, "window_seconds": 1},
            "seconds": {"rate_limit": 30, "window_seconds": 2},
        });
        stage.admin(0, "POST", "/admin/tiers", &json!({"name": "t", "features": features}));
        let key = |n| json!({"name": format!("k{n}"), "key": "v", "tier": "t"});
        stage.admin(1, "POST", "/admin/keys", &(0..3).map(key).collect::<Vec<_>>().into());
    }
    let client = |number: usize| Client {
        replica: number % 3,
        token: ADMIN_TOKEN.to_owned(),
        feature: if number.is_multiple_of(2) { "second" } else { "seconds" }.to_owned(),
        patience_ms: 10,
    };
    let clients: Vec<_> = (0..36).map(client).collect();
    let before = records::events(&stage.file()).len();
    let (ledger, ()) = draw_while(stage, &clients, || {
        pause(lasts_ms / 2);
        then();
        pause(lasts_ms / 2);
    });
    println!("{:?}, longest {:?}", ledger.summary(), ledger.longest());
    let failed = ledger.count(|entry| !matches!(entry.outcome.status(), 200 | 429));
    assert_eq!(failed, 0, "{:?}\n{}", ledger.summary(), stage.complaints());
    let verdict = check(&stage.file(), &ledger);
    assert_eq!(verdict.unrewarded(), before, "{verdict:?}");
    // Who gets the keys of a scarce window is whose clients ask first when it opens.
    assert!(ledger.grants().count() > 0, "{:?}", ledger.summary());
}

fn assert_times_are_near(stage: &Stage, from: i64, to: i64) {
    let events = records::events(&stage.file());
    let (first, last) = (events[0].at_ms(), events[events.len() - 1].at_ms());
    println!("events {} ms after the start, {} ms before the end", first - from, to - last);
    assert!(first > from - NEAR_MS && last < to + NEAR_MS, "{first}..{last}, {from}..{to}");
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap()
}
