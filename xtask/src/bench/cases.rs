//! Draws a second, case by case, each beside a bare hyper server that is loaded in the same round.

use std::path::Path;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::bench::Bench;
use crate::bench::load::{DRAW, Load, Outcome};
use crate::bench::pool::{self, Keys};
use crate::bench::process::{Server, Setting};
use crate::bench::report::{Row, Target, median};
use crate::run::say;

/// Keys of a pool, and of one that is to be exhausted.
const FEW: usize = 10;
const MANY: usize = 10_000;
const CONSUMERS: usize = 1_000;
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
    /// 1,000 further consumers.
    ManyConsumers,
    /// Values sealed at rest.
    Sealed,
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
const CASES: [Case; 20] = cases! {
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
    "NORMAL, 128, 1,000 consumers"       "normal" 128 ManyConsumers None,    Some("NORMAL, 128 connections");
    "NORMAL, 128, sealed values"         "normal" 128 Sealed   None,        Some("NORMAL, 128 connections");
    "NORMAL, 1024 connections"           "normal" 1024 Plain   None,        None;
    "refusals, 10,000 exhausted keys, 32" "full"   32 Refused  least(0.60), None;
};

/// What a case and what it is compared with came to in each round.
#[derive(Default)]
struct Measured {
    outcomes: Vec<Outcome>,
    bases: Vec<f64>,
    ratios: Vec<f64>,
}

/// A server that is warm, and what it takes to load it.
struct Loaded {
    server: Server,
    token: String,
    /// Whether it is to refuse.
    refuses: bool,
    /// Goes with it.
    _folder: TempDir,
}

/// Loads every case that is asked for, in turns with what it is compared with: the two share the machine's moods.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let wanted: Vec<_> = CASES.iter().filter(|case| bench.wants(case.name)).collect();
    let filled = bench.folder.join("filled");
    if wanted.iter().any(|case| case.kind == Kind::Filled) {
        fill(bench, &filled, EVENTS)?;
    }
    wanted.iter().map(|case| compare(bench, case, &filled).context(case.name)).collect()
}

fn compare(bench: &Bench, case: &Case, filled: &Path) -> anyhow::Result<Row> {
    let base = case.of.and_then(|name| CASES.iter().find(|case| case.name == name));
    let base = match base {
        Some(base) => start(bench, base, filled)?,
        None => bare(bench)?,
    };
    let loaded = start(bench, case, filled)?;
    // A difference of 5 % is less than a turn differs from the next: it takes more of them.
    let is_close = matches!(case.target, Some(Target::AtLeast(ratio)) if ratio > 0.9);
    let rounds = if is_close { 3 * bench.rounds } else { bench.rounds };
    let mut measured = Measured::default();
    for round in 1..=rounds {
        let of_base = base.run(bench, case.connections, bench.seconds)?.rate;
        let outcome = loaded.run(bench, case.connections, bench.seconds)?;
        let ratio = outcome.rate / of_base;
        say(&format!("{} ({round}/{rounds}): {:.0}/s, {ratio:.3}", case.name, outcome.rate));
        measured.outcomes.push(outcome);
        measured.bases.push(of_base);
        measured.ratios.push(ratio);
    }
    loaded.server.stop()?;
    row(case, &measured)
}

fn row(case: &Case, measured: &Measured) -> anyhow::Result<Row> {
    let rates: Vec<_> = measured.outcomes.iter().map(|outcome| outcome.rate).collect();
    let [Some(rate), Some(base), Some(ratio)] =
        [&rates, &measured.bases, &measured.ratios].map(|of| median(of))
    else {
        bail!("there was no round");
    };
    let of_median = measured.outcomes.iter().find(|outcome| outcome.rate == rate);
    let unit = if case.kind == Kind::Refused { "answers/s" } else { "draws/s" };
    let of = format!("{base:.0} of {}", case.of.unwrap_or("bare hyper"));
    let row = Row::value(case.name, rate, unit).with_ratio(ratio, &of);
    Ok(Row { target: case.target, percentiles: of_median.map(|it| it.percentiles), ..row })
}

/// Starts a bare server.
fn bare(bench: &Bench) -> anyhow::Result<Loaded> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    // A token of a consumer's length, so that both read as much.
    let token = format!("kp_{}", "a".repeat(50));
    Ok(Loaded { server: bench.executables.bare()?, token, refuses: false, _folder: folder })
}

/// Starts a server with the case's pool in a new folder and warms it up.
fn start(bench: &Bench, case: &Case, filled: &Path) -> anyhow::Result<Loaded> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let setting = Setting {
        log_requests: case.kind == Kind::Logged,
        is_sealed: case.kind == Kind::Sealed,
        ..Setting::plain(case.synchronous)
    };
    if case.kind == Kind::Filled {
        std::fs::copy(filled.join("pool.db"), folder.path().join("pool.db"))?;
    }
    let server = bench.executables.keypooler(folder.path(), setting)?;
    let (keys, count) = match case.kind {
        Kind::Budgeted => (Keys::Budgeted, FEW),
        Kind::Refused => (Keys::OneADay, MANY),
        Kind::ManyKeys => (Keys::Unlimited, MANY),
        Kind::Plain | Kind::Logged | Kind::Filled | Kind::ManyConsumers | Kind::Sealed => {
            (Keys::Unlimited, FEW)
        }
    };
    let token = if case.kind == Kind::Filled {
        std::fs::read_to_string(filled.join("token"))?
    } else {
        pool::set_up(&server, keys, count)?
    };
    if case.kind == Kind::ManyConsumers {
        pool::add_consumers(&server, CONSUMERS)?;
    }
    let mut loaded = Loaded { server, token, refuses: false, _folder: folder };
    if case.kind == Kind::Refused {
        exhaust(&loaded)?;
        loaded.refuses = true;
    }
    loaded.run(bench, case.connections, 1)?;
    Ok(loaded)
}

/// Draws until there is no key left.
fn exhaust(loaded: &Loaded) -> anyhow::Result<()> {
    let mut client = loaded.server.client(&loaded.token)?;
    for _ in 0..MANY {
        client.expect(DRAW, 200)?;
    }
    client.expect(DRAW, 429).map(drop)
}

impl Loaded {
    fn run(&self, bench: &Bench, connections: usize, seconds: u64) -> anyhow::Result<Outcome> {
        let load = Load { address: self.server.address, token: &self.token, connections, seconds };
        let outcome = bench.generator.run(load, &bench.folder)?;
        let expected = if self.refuses { outcome.answers } else { 0 };
        if outcome.refused != expected {
            bail!("{} of {} answers were refusals", outcome.refused, outcome.answers);
        }
        Ok(outcome)
    }
}

/// A database with this many events in a folder of its own, and its consumer's token beside it.
pub(crate) fn fill(bench: &Bench, folder: &Path, events: usize) -> anyhow::Result<()> {
    say(&format!("a database with {events} usage events is made"));
    std::fs::create_dir_all(folder)?;
    let server = bench.executables.keypooler(folder, Setting::plain("normal"))?;
    std::fs::write(folder.join("token"), pool::set_up(&server, Keys::Unlimited, FEW)?)?;
    server.stop()?;
    pool::fill(&folder.join("pool.db"), events)
}
