//! A database that is slow, and one that does not answer: 503 with `Retry-After` while it lasts, and serving after it.

use std::time::{Duration, Instant};

use keypool_test_server::{Fault, When};
use serde_json::json;

use crate::checker::check;
use crate::ledger::{Entry, Ledger, Outcome};
use crate::load::{Client, draw_while};
use crate::stage::{Stage, pause};
use crate::support::ADMIN_TOKEN;

const CLIENTS: usize = 24;
const RESUMES: Duration = Duration::from_secs(5);
/// DB_BUSY_TIMEOUT_MS of the replicas: the longest that a write may take.
const DEADLINE_MS: u64 = 1_000;
/// Nobody is left waiting for longer than some deadlines.
const LONGEST: Duration = Duration::from_millis(8 * DEADLINE_MS);

fn stage() -> Stage {
    let mut stage = Stage::empty(|_| {});
    let deadline = DEADLINE_MS.to_string();
    for _ in 0..3 {
        stage.add_replica(&[("DB_BUSY_TIMEOUT_MS", &deadline)]);
    }
    let features = json!({"open": {"rate_limit": 1_000_000_000}, "second": {"rate_limit": 20, "window_seconds": 1}});
    stage.admin(0, "POST", "/admin/tiers", &json!({"name": "t", "features": features}));
    let key = |n| json!({"name": format!("k{n}"), "key": "v", "tier": "t"});
    stage.admin(0, "POST", "/admin/keys", &(0..5).map(key).collect::<Vec<_>>().into());
    stage
}

fn load<T>(stage: &Stage, play: impl FnOnce() -> T) -> (Ledger, T) {
    let client = |number: usize| Client {
        replica: number % 3,
        token: ADMIN_TOKEN.to_owned(),
        feature: if number < CLIENTS / 2 { "open" } else { "second" }.to_owned(),
        patience_ms: 20,
    };
    let (ledger, played) = draw_while(stage, &(0..CLIENTS).map(client).collect::<Vec<_>>(), play);
    println!("{:?}, longest {:?}", ledger.summary(), ledger.longest());
    (ledger, played)
}

#[test]
fn a_slow_database_is_served_without_a_failure() {
    let stage = stage();
    stage.faults().set_latency(Duration::from_millis(20));
    let (ledger, ()) = load(&stage, || pause(3_000));
    let failed = ledger.count(|entry| !matches!(entry.outcome.status(), 200 | 429));
    assert_eq!(failed, 0, "{:?}\n{}", ledger.summary(), stage.complaints());
    assert_eq!(check(&stage.file(), &ledger).unrewarded(), 0);
}

#[test]
fn while_the_database_does_not_answer_callers_are_told_and_then_served_again() {
    // Connections that hang break when it is over.
    outlast(|stage| stage.faults().clear());
}

#[test]
fn requests_that_never_get_an_answer_do_not_keep_later_ones_from_being_served() {
    // Connections that hang go on hanging, as behind a broken link.
    outlast(|_| {});
}

fn outlast(end: impl FnOnce(&Stage)) {
    let stage = stage();
    let (ledger, [began, ended]) = load(&stage, || {
        pause(500);
        let began = Instant::now();
        let hang = stage.faults().inject(Fault::Hang, When::always());
        pause(4_000);
        let ended = Instant::now();
        hang.remove();
        end(&stage);
        pause(6_000);
        [began, ended]
    });
    for replica in 0..3 {
        let told = |it: &Entry| it.replica == replica && it.outcome.status() == 503;
        let first = ledger.entries.iter().filter(|it| told(it)).map(|it| it.ended).min();
        let first = first.map(|at| at.saturating_duration_since(began));
        let resumed = ledger.resumed_after(replica, ended);
        println!(
            "replica {}: first 503 after {first:?}, served {resumed:?} after the end",
            replica + 1
        );
        assert!(first.is_some_and(|after| after < ended.duration_since(began)), "{first:?}");
        assert!(
            resumed.is_some_and(|after| after < RESUMES),
            "{resumed:?}\n{}",
            stage.complaints()
        );
    }
    for entry in &ledger.entries {
        match &entry.outcome {
            Outcome::Granted { .. } => {}
            Outcome::Refused { status: 503, retry_after_secs, .. } => {
                assert!(retry_after_secs.is_some(), "{entry:?}");
                let after = entry.sent.saturating_duration_since(ended);
                assert!(entry.ended > began && after < RESUMES, "{after:?} after: {entry:?}");
            }
            Outcome::Refused { status: 429, .. } => {}
            Outcome::Refused { .. } | Outcome::Lost => panic!("{entry:?}"),
        }
    }
    assert!(ledger.longest() < LONGEST, "{:?}", ledger.longest());
    let in_doubt = ledger.count(|entry| entry.outcome.is_in_doubt());
    let unrewarded = check(&stage.file(), &ledger).unrewarded();
    println!("{unrewarded} charged and not received, {in_doubt} in doubt");
    assert!(unrewarded <= in_doubt, "{unrewarded} charged and not received, {in_doubt} in doubt");
}
