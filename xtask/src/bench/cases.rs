//! Draws a second, case by case, each beside a bare hyper server that is loaded in the same round.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::bench::Bench;
use crate::bench::load::{Load, Outcome};
use crate::bench::pool::{self, Keys};
use crate::bench::process::{Server, Setting};
use crate::bench::report::{Row, Target, median};
use crate::run::say;

/// Keys of a pool, and of one that is to be exhausted.
const FEW: usize = 10;
const MANY: usize = 10_000;
/// Usage events of a database that is not new.
const EVENTS: usize = 1_000_000;

/// What is loaded, and what is to be reached.
struct Case {
    name: &'static str,
    synchronous: &'static str,
    connections: usize,
    kind: Kind,
    target: Option<Target>,
    /// The case that it is compared with; the bare server where there is none.
    of: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 10 keys without budgets.
    Plain,
    Logged,
    Budgeted,
    /// 10,000 keys, all exhausted.
    Refused,
    /// 1,000,000 events are there already.
    Filled,
    /// 10,000 keys.
    ManyKeys,
}

macro_rules! cases {
    ($($name:literal $synchronous:literal $connections:literal $kind:ident $target:expr, $of:expr;)+) => {
        [$(Case {
            name: $name, synchronous: $synchronous, connections: $connections, kind: Kind::$kind, target: $target, of: $of,
        }),+]
    };
}

const fn least(ratio: f64) -> Option<Target> {
    Some(Target::AtLeast(ratio))
}

#[rustfmt::skip]
const CASES: [Case; 18] = cases! {
    // name                              sync   conns kind     target       compared with
    "FULL, 1 connection"                 "full"     1 Plain    None,        None;
    "FULL, 32 connections"               "full"    32 Plain    least(0.20), None;
    "FULL, 32, logged"                   "full"    32 Logged   least(0.8),  Some("FULL, 32 connections");
    "FULL, 32, 1,000,000 events there"   "full"    32 Filled   least(0.95), Some("FULL, 32 connections");
    "FULL, 128 connections"              "full"   128 Plain    least(0.42), None;
    "FULL, 128, logged"                  "full"   128 Logged   least(0.8),  Some("FULL, 128 connections");
    "FULL, 128, budgeted"                "full"   128 Budgeted least(0.95), Some("FULL, 128 connections");
    "FULL, 128, 10,000 keys"             "full"   128 ManyKeys None,        Some("FULL, 128 connections");
    "NORMAL, 1 connection"               "normal"   1 Plain    None,        None;
    "NORMAL, 32 connections"             "normal"  32 Plain    least(0.32), None;
    "NORMAL, 32, logged"                 "normal"  32 Logged   least(0.8),  Some("NORMAL, 32 connections");
    "NORMAL, 128 connections"            "normal" 128 Plain    least(0.50), None;
    "NORMAL, 128, logged"                "normal" 128 Logged   least(0.8),  Some("NORMAL, 128 connections");
    "NORMAL, 128, budgeted"              "normal" 128 Budgeted least(0.95), Some("NORMAL, 128 connections");
    "NORMAL, 128, 1,000,000 events there" "normal" 128 Filled  least(0.95), Some("NORMAL, 128 connections");
    "NORMAL, 128, 10,000 keys"           "normal" 128 ManyKeys None,        Some("NORMAL, 128 connections");
    "NORMAL, 1024 connections"           "normal" 1024 Plain   None,        None;
    "refusals, 10,000 exhausted keys, 32" "full"   32 Refused  least(0.60), None;
};

/// What a case came to in each round.
#[derive(Default)]
struct Measured {
    outcomes: Vec<Outcome>,
    ratios: Vec<f64>,
}

/// Loads every case that is asked for, round by round.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let is_base =
        |case: &Case| CASES.iter().any(|it| it.of == Some(case.name) && bench.wants(it.name));
    let wanted: Vec<_> =
        CASES.iter().filter(|case| bench.wants(case.name) || is_base(case)).collect();
    let filled = bench.folder.join("filled");
    if wanted.iter().any(|case| case.kind == Kind::Filled) {
        fill(bench, &filled, EVENTS)?;
    }
    let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
    for round in 1..=bench.rounds {
        let mut rates: BTreeMap<String, f64> = BTreeMap::new();
        for case in &wanted {
            let ceiling = format!("bare hyper, {} connections", case.connections);
            if !rates.contains_key(&ceiling) {
                let bare = bare(bench, case.connections)?;
                say(&format!("round {round}: {ceiling}: {:.0}/s", bare.rate));
                rates.insert(ceiling.clone(), bare.rate);
            }
            let outcome = load(bench, case, &filled).with_context(|| case.name)?;
            let base = rates.get(case.of.unwrap_or(&ceiling)).copied().unwrap_or(f64::NAN);
            say(&format!(
                "round {round}: {}: {:.0}/s, {:.3} of {}",
                case.name,
                outcome.rate,
                outcome.rate / base,
                case.of.unwrap_or("bare hyper")
            ));
            rates.insert(case.name.to_owned(), outcome.rate);
            let of_case = measured.entry(case.name).or_default();
            of_case.outcomes.push(outcome);
            of_case.ratios.push(outcome.rate / base);
        }
    }
    wanted.iter().map(|case| row(case, &measured[case.name])).collect()
}

fn row(case: &Case, measured: &Measured) -> anyhow::Result<Row> {
    let rates: Vec<_> = measured.outcomes.iter().map(|outcome| outcome.rate).collect();
    let rate = median(&rates).context("there was a round")?;
    let ratio = median(&measured.ratios).context("there was a round")?;
    let of_median = measured.outcomes.iter().find(|outcome| outcome.rate == rate);
    let row = Row::value(
        case.name,
        rate,
        if case.kind == Kind::Refused { "answers/s" } else { "draws/s" },
    );
    let row = row.with_ratio(ratio, case.of.unwrap_or("bare hyper"));
    Ok(Row { target: case.target, percentiles: of_median.map(|it| it.percentiles), ..row })
}

fn bare(bench: &Bench, connections: usize) -> anyhow::Result<Outcome> {
    let server = bench.executables.bare()?;
    // A token of a consumer's length, so that both read as much.
    let token = format!("kp_{}", "a".repeat(50));
    run(bench, &server, &token, connections)
}

/// Starts a server with the case's pool in a new folder, warms it up and loads it.
fn load(bench: &Bench, case: &Case, filled: &Path) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let setting =
        Setting { synchronous: case.synchronous, log_requests: case.kind == Kind::Logged };
    let token = if case.kind == Kind::Filled {
        std::fs::copy(filled.join("pool.db"), folder.path().join("pool.db"))?;
        Some(std::fs::read_to_string(filled.join("token"))?)
    } else {
        None
    };
    let server = bench.executables.keypooler(folder.path(), setting)?;
    let token = match token {
        Some(token) => token,
        None => {
            let (keys, count) = match case.kind {
                Kind::Budgeted => (Keys::Budgeted, FEW),
                Kind::Refused => (Keys::OneADay, MANY),
                Kind::ManyKeys => (Keys::Unlimited, MANY),
                Kind::Plain | Kind::Logged | Kind::Filled => (Keys::Unlimited, FEW),
            };
            pool::set_up(&server, keys, count)?
        }
    };
    let (address, seconds) = (server.address, if case.kind == Kind::Refused { 3 } else { 1 });
    let warm_up = Load { address, token: &token, connections: case.connections, seconds };
    bench.generator.run(warm_up, folder.path())?;
    let outcome = run(bench, &server, &token, case.connections)?;
    let expected = if case.kind == Kind::Refused { outcome.answers } else { 0 };
    if outcome.refused != expected {
        bail!("{} of {} answers were refusals", outcome.refused, outcome.answers);
    }
    server.stop()?;
    Ok(outcome)
}

fn run(bench: &Bench, server: &Server, token: &str, connections: usize) -> anyhow::Result<Outcome> {
    let load = Load { address: server.address, token, connections, seconds: bench.seconds };
    bench.generator.run(load, &bench.folder)
}

/// A database with this many events in a folder of its own, and its consumer's token beside it.
pub(crate) fn fill(bench: &Bench, folder: &Path, events: usize) -> anyhow::Result<()> {
    say(&format!("a database with {events} usage events is made"));
    std::fs::create_dir_all(folder)?;
    let setting = Setting { synchronous: "normal", log_requests: false };
    let server = bench.executables.keypooler(folder, setting)?;
    std::fs::write(folder.join("token"), pool::set_up(&server, Keys::Unlimited, FEW)?)?;
    server.stop()?;
    pool::fill(&folder.join("pool.db"), events)
}
