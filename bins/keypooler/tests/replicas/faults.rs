//! Promises 1, 2 and 3 over three replicas while answers of the database are lost, late or given twice, one replica is
//! killed and another stands still: never over, never unrecorded, and serving goes on by itself.

use std::time::{Duration, Instant};

use keypool_test_server::{Fault, When};
use rustix::process::Signal;
use serde_json::json;

use crate::checker::check;
use crate::ledger::{Ledger, Outcome};
use crate::load::{Client, draw_while};
use crate::records;
use crate::seed::{Dice, is_long};
use crate::stage::{Stage, pause};
use crate::support::ADMIN_TOKEN;

const CLIENTS: usize = 48;
const FEATURES: [&str; 4] = ["early", "late", "second", "open"];
const KEYS: i64 = 4;
/// Budgets for life: the first are used up while answers are lost, the others after everything.
const BUDGETS: [(&str, i64); 2] = [("early", 200), ("late", 1_200)];
const KILLED: usize = 1;
const STOPPED: usize = 2;
/// After the end of each fault a replica serves again within this time.
const RESUMES: Duration = Duration::from_secs(5);

/// When what went wrong.
struct Faults {
    answers: [Instant; 2],
    struck: u64,
    /// From the signal on until it was gone.
    killed: [Instant; 2],
    restarted: Instant,
    stopped: Instant,
    continued: Instant,
}

#[test]
fn lost_answers_a_killed_replica_and_one_that_stands_still_overrun_nothing_and_lose_nothing() {
    let mut dice = Dice::throw();
    let stage = Stage::with(3);
    fill(&stage);
    let client = |number: usize| Client {
        replica: number % 3,
        token: ADMIN_TOKEN.to_owned(),
        feature: FEATURES[number / 3 % FEATURES.len()].to_owned(),
        patience_ms: 10,
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let (mut ledger, faults) = draw_while(&stage, &clients, || {
        pause(500);
        play(&stage, &mut dice)
    });
    println!("{:?}, longest {:?}", ledger.summary(), ledger.longest());
    let verdict = check(&stage.file(), &ledger);
    let in_doubt = ledger.count(|entry| entry.outcome.is_in_doubt());
    let in_flight = ledger.lost_in_flight(KILLED, faults.killed);
    println!(
        "{verdict:?}: {} charged and not received; {} answers struck, {in_doubt} in doubt, {in_flight} in flight when killed",
        verdict.unrewarded(),
        faults.struck
    );
    assert!(verdict.unrewarded() <= in_flight + in_doubt, "{verdict:?}");
    assert_resumed(&ledger, &faults);
    assert_failures_have_a_cause(&stage, &ledger, &faults);
    ledger.entries.extend(use_up(&stage).entries);
    check(&stage.file(), &ledger);
}

fn fill(stage: &Stage) {
    for feature in FEATURES {
        let (rate_limit, window) = if feature == "second" { (20, 1) } else { (1_000_000_000, 60) };
        let limit = json!({feature: {"rate_limit": rate_limit, "window_seconds": window}});
        stage.admin(0, "POST", "/admin/tiers", &json!({"name": feature, "features": limit}));
        let budget = BUDGETS.iter().find(|(name, _)| *name == feature).map(|(_, budget)| budget);
        let key = |number| {
            let name = format!("{feature}-{number}");
            json!({"name": name, "key": "v", "tier": feature, "usage_limit": budget})
        };
        stage.admin(1, "POST", "/admin/keys", &(0..KEYS).map(key).collect::<Vec<_>>().into());
    }
}

fn play(stage: &Stage, dice: &mut Dice) -> Faults {
    let began = Instant::now();
    let struck = strike_answers(stage, dice, if is_long() { 20 } else { 4 });
    let answers = [began, Instant::now()];
    pause(1_000 + dice.between(0, 1_000));
    let killing = Instant::now();
    stage.kill(KILLED);
    let killed = [killing, Instant::now()];
    pause(300);
    stage.restart(KILLED);
    let restarted = Instant::now();
    pause(1_000 + dice.between(0, 1_000));
    let stopped = Instant::now();
    stage.signal(STOPPED, Signal::STOP);
    pause(if is_long() { 10_000 } else { 3_000 });
    stage.signal(STOPPED, Signal::CONT);
    let continued = Instant::now();
    pause(2_000);
    Faults { answers, struck, killed, restarted, stopped, continued }
}

/// Lets answers to batches of draws be lost, late or those of a second try; how many.
fn strike_answers(stage: &Stage, dice: &mut Dice, secs: u64) -> u64 {
    let mut injected = Vec::new();
    let until = Instant::now() + Duration::from_secs(secs);
    while Instant::now() < until {
        let fault = match dice.between(0, 4) {
            0 | 1 => Fault::DropAnswer,
            2 => Fault::Repeat,
            _ => Fault::DelayAfter(Duration::from_millis(dice.between(20, 300))),
        };
        let when = When::once().matching("draw_batch").after(dice.between(0, 5));
        let injection = stage.faults().inject(fault, when);
        // One at a time: delays would add up.
        while injection.hits() == 0 && Instant::now() < until {
            pause(5);
        }
        injected.push(injection);
    }
    stage.faults().clear();
    injected.iter().map(keypool_test_server::Injection::hits).sum()
}

fn assert_resumed(ledger: &Ledger, faults: &Faults) {
    for (what, replica, since) in [
        ("answers came again", 0, faults.answers[1]),
        ("it was started again", KILLED, faults.restarted),
        ("it went on", STOPPED, faults.continued),
    ] {
        let resumed = ledger.resumed_after(replica, since);
        println!("replica {}: served {resumed:?} after {what}", replica + 1);
        assert!(resumed.is_some_and(|after| after < RESUMES), "{what}: {resumed:?}");
    }
    for (what, others, from, to) in [
        ("was away", [0, 2], faults.killed[1], faults.restarted),
        ("stood still", [0, 1], faults.stopped, faults.continued),
    ] {
        for replica in others {
            let gap = ledger.longest_gap(replica, from, to);
            println!(
                "replica {}: at most {gap:?} without a grant while another {what}",
                replica + 1
            );
            assert!(gap < Duration::from_secs(1), "{gap:?} while another {what}");
        }
    }
}

/// 503 is for a database that fails, and says when to come again.
fn assert_failures_have_a_cause(stage: &Stage, ledger: &Ledger, faults: &Faults) {
    let [from, to] = faults.answers;
    for entry in &ledger.entries {
        let Outcome::Refused { status, retry_after_secs, .. } = &entry.outcome else { continue };
        if *status == 429 {
            continue;
        }
        let is_struck = entry.ended > from && entry.sent < to;
        let is_told = *status == 503 && retry_after_secs.is_some();
        let after = entry.sent.saturating_duration_since(to);
        assert!(is_struck && is_told, "{after:?} after: {entry:?}\n{}", stage.complaints());
    }
}

/// What is left of the budgets is granted to the last unit: a charge that nobody received stands.
fn use_up(stage: &Stage) -> Ledger {
    let granted = |feature| {
        let events = records::events(&stage.file());
        i64::try_from(events.iter().filter(|event| event.feature == feature).count()).unwrap()
    };
    let client = |number: usize| Client {
        replica: number % 3,
        token: ADMIN_TOKEN.to_owned(),
        feature: BUDGETS[number / 3 % 2].0.to_owned(),
        patience_ms: 50,
    };
    let clients: Vec<_> = (0..24).map(client).collect();
    let is_used_up = || BUDGETS.iter().all(|(feature, budget)| granted(*feature) >= KEYS * budget);
    let (ledger, ()) = draw_while(stage, &clients, || {
        let began = Instant::now();
        while !is_used_up() && began.elapsed() < Duration::from_secs(8) {
            pause(200);
        }
        pause(300);
    });
    println!("in the end: {:?}", ledger.summary());
    for (feature, budget) in BUDGETS {
        assert_eq!(granted(feature), KEYS * budget, "{feature}");
    }
    ledger
}
