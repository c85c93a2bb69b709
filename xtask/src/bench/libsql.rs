//! `cargo xtask bench --libsql`: the release binary on a libSQL database, which the server of the tests keeps in a process
//! of its own. A slow link, several replicas, a database that stops answering.

pub(crate) mod database;
mod replicas;
mod straight;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::bench::Bench;
use crate::bench::generator;
use crate::bench::libsql::database::Database;
use crate::bench::libsql::replicas::Replicas;
use crate::bench::libsql::straight::Straight;
use crate::bench::load::{DRAW, Load, Outcome};
use crate::bench::pool::Keys;
use crate::bench::process::Server;
use crate::bench::report::{Row, Target, median};
use crate::run::say;

/// What a request takes longer over the slow link.
const LINK_MS: u64 = 20;
/// Draws a second that many clients are to get over it, if the database server takes as many.
const WANTED: f64 = 20_000.0;
/// How near to what the database server takes the draws are to come, where that is less.
const NEAR: f64 = 0.9;
/// Clients that are spread over replicas.
const SPREAD: usize = 96;
const REPLICAS: usize = 3;
const MANY: usize = 1_024;
/// How long the database does not answer until memory is looked at.
const SILENCE_SECS: u64 = 10;

/// Figures that are measured together.
type Part = fn(&Bench) -> anyhow::Result<Vec<Row>>;

const PARTS: [(&str, Part); 5] = [
    ("link of 20 ms, one client", one_draw),
    ("link of 20 ms, many clients", many_draws),
    ("beside SQLite", beside_sqlite),
    ("replicas", spread),
    ("a database that stops answering", silence),
];

/// Measures what is asked for.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, part) in PARTS.iter().filter(|(name, _)| bench.wants(name)) {
        say(&format!("{name}:"));
        rows.extend(part(bench).with_context(|| *name)?);
    }
    Ok(rows)
}

/// A draw beside an empty statement to the same database, over the slow link.
fn one_draw(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let mut database = Database::start(&bench.executables, &folder.path().join("pool.db"))?;
    let replicas = Replicas::on(bench, &database, 1, Keys::Unlimited)?;
    database.set_latency(LINK_MS)?;
    let mut client = replicas.first()?.client(&replicas.token)?;
    let mut straight = Straight::connect(database.address)?;
    let turn = Duration::from_secs(bench.seconds);
    let (mut draws, mut trips, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let trip = repeat(turn / 2, &mut || straight.nothing())?;
        let draw = repeat(turn / 2, &mut || client.expect(DRAW, 200).map(drop))?;
        let ratio = draw.median_ms / trip.median_ms;
        say(&format!("  {:.2} ms : {:.2} ms = {ratio:.3}", draw.median_ms, trip.median_ms));
        draws.push(draw.median_ms);
        trips.push(trip.median_ms);
        ratios.push(ratio);
    }
    replicas.stop()?;
    let trip = Row::value("libSQL, link of 20 ms, an empty statement", middle(&trips)?, "ms");
    let draw = Row::value("libSQL, link of 20 ms, one draw", middle(&draws)?, "ms")
        .with_ratio(middle(&ratios)?, "an empty statement")
        .with_target(Target::AtMost(1.2));
    Ok(vec![trip, draw])
}

/// Draws a second over the slow link; of the most clients beside batches of the same size sent straight.
fn many_draws(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let mut database = Database::start(&bench.executables, &folder.path().join("pool.db"))?;
    let replicas = Replicas::on(bench, &database, 1, Keys::Unlimited)?;
    // A pool of its own, which nobody else works on.
    let mut bare = Database::start(&bench.executables, &folder.path().join("bare.db"))?;
    Replicas::on(bench, &bare, 1, Keys::Unlimited)?.stop()?;
    let mut straight = Straight::connect(bare.address)?;
    database.set_latency(LINK_MS)?;
    bare.set_latency(LINK_MS)?;
    let mut rows = Vec::new();
    for connections in [32, 256, MANY] {
        replicas.run(bench, connections, 1)?;
        let name = format!("libSQL, link of 20 ms, {connections} clients");
        let (mut outcomes, mut sizes, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            let before = database.requests()?;
            let outcome = replicas.run(bench, connections, bench.seconds)?;
            let requests = (database.requests()? - before).max(1);
            let size = (outcome.answers / requests).max(1);
            let turn = Duration::from_secs(bench.seconds);
            let limit = repeat(turn, &mut || straight.draw(size))?.rate * size as f64;
            say(&format!("{name}: {:.0}/s, {size} a request, straight {limit:.0}/s", outcome.rate));
            outcomes.push(outcome);
            sizes.push(size as f64);
            limits.push(limit);
        }
        let drawn = row(&name, &outcomes)?;
        let (size, limit) = (middle(&sizes)?, middle(&limits)?);
        let ratios: Vec<_> =
            outcomes.iter().zip(&limits).map(|(outcome, limit)| outcome.rate / limit).collect();
        let to_limit =
            drawn.clone().with_ratio(middle(&ratios)?, &format!("{limit:.0} sent straight"));
        rows.push(match connections {
            MANY if drawn.value < WANTED && limit < WANTED => {
                say(&format!("{name}: the bound is the database server's {limit:.0}/s"));
                to_limit.with_target(Target::AtLeast(NEAR))
            }
            MANY => {
                say(&format!(
                    "{name}: the bound is {WANTED:.0}/s, the database server's {limit:.0}/s"
                ));
                drawn.with_target(Target::AtLeast(WANTED))
            }
            _ => to_limit,
        });
        rows.push(Row::value(&format!("{name}, draws a request"), size, "draws"));
        rows.push(Row::value(&format!("{name}, sent straight"), limit, "draws/s"));
    }
    replicas.stop()?;
    Ok(rows)
}

/// Without a slow link, in turns with a server on a file.
fn beside_sqlite(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let database = Database::start(&bench.executables, &folder.path().join("pool.db"))?;
    let replicas = Replicas::on(bench, &database, 1, Keys::Unlimited)?;
    let file = Replicas::on_file(bench)?;
    let row = |connections| {
        let name = format!("libSQL, {connections} clients");
        in_turns(bench, &name, "SQLite, NORMAL", connections, &replicas, &file)
    };
    let rows = [1, 32, 128].into_iter().map(row).collect::<anyhow::Result<_>>()?;
    replicas.stop()?;
    file.stop()?;
    Ok(rows)
}

/// Three replicas in turns with one, both with the same clients in all.
fn spread(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let kinds = [(Keys::Unlimited, "unlimited keys"), (Keys::ShortWindow, "windows of 1 s")];
    let row = |(keys, kind): (Keys, &str)| {
        let folder = tempfile::tempdir_in(&bench.folder)?;
        let path = |name: &str| folder.path().join(name);
        let (of_many, of_one) = (
            Database::start(&bench.executables, &path("many.db"))?,
            Database::start(&bench.executables, &path("one.db"))?,
        );
        let many = Replicas::on(bench, &of_many, REPLICAS, keys)?;
        let one = Replicas::on(bench, &of_one, 1, keys)?;
        let name = format!("libSQL, {REPLICAS} replicas, {SPREAD} clients, {kind}");
        let row = in_turns(bench, &name, "one replica", SPREAD, &many, &one)?;
        many.stop()?;
        one.stop()?;
        anyhow::Ok(row)
    };
    kinds.into_iter().map(row).collect()
}

/// Memory under many clients, before and after the database stops answering, and what the clients get meanwhile.
fn silence(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let mut database = Database::start(&bench.executables, &folder.path().join("pool.db"))?;
    let replicas = Replicas::on(bench, &database, 1, Keys::Unlimited)?;
    let server = replicas.first()?;
    let seconds = bench.seconds + SILENCE_SECS;
    let load = Load { address: server.address, token: &replicas.token, connections: MANY, seconds };
    let (before, after, counted) = thread::scope(|scope| {
        let load = scope.spawn(move || generator::count(load));
        thread::sleep(Duration::from_secs(bench.seconds));
        let (before, _) = server.memory()?;
        database.hang()?;
        thread::sleep(Duration::from_secs(SILENCE_SECS));
        let (after, _) = server.memory()?;
        let counted = load.join().map_err(|_| anyhow::anyhow!("the generator panicked"))?;
        anyhow::Ok((before, after, counted?.0))
    })?;
    database.heal()?;
    let healed = until_granted(server, &replicas.token)?;
    let of = |wanted: u16| counted.statuses.get(&wanted).copied().unwrap_or_default();
    let others: u64 = counted.statuses.values().sum::<u64>() - of(200) - of(503);
    let slowest = counted.micros.iter().max().copied().unwrap_or_default();
    say(&format!("  answers by status: {:?}, none: {}", counted.statuses, counted.unanswered));
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let name = |what: &str| format!("libSQL, database silent for {SILENCE_SECS} s, {what}");
    let memory = Row::value(&name("memory"), mib(after), "MiB")
        .with_ratio(after as f64 / before as f64, &format!("{:.1} MiB before", mib(before)))
        .with_target(Target::AtMost(1.2));
    Ok(vec![
        memory,
        Row::value(&name("answers of 503"), of(503) as f64, "answers")
            .with_target(Target::AtLeast(1.0)),
        Row::value(&name("others than 200, 503"), others as f64, "answers")
            .with_target(Target::AtMost(0.0)),
        Row::value(&name("unanswered"), counted.unanswered as f64, "requests")
            .with_target(Target::AtMost(0.0)),
        Row::value(&name("slowest answer"), f64::from(slowest) / 1e6, "s"),
        Row::value(&name("to a grant once it is back"), healed, "s"),
    ])
}

/// How long it takes until a draw is granted, in seconds.
fn until_granted(server: &Server, token: &str) -> anyhow::Result<f64> {
    let start = now();
    let mut client = server.client(token)?;
    while start.elapsed() < Duration::from_secs(30) {
        if client.send("GET", DRAW, "")?.status == 200 {
            return Ok(start.elapsed().as_secs_f64());
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("30 s after the database is back no draw is granted")
}

/// Loads two in turns. Returns draws a second of the one, and the ratio to the other.
fn in_turns(
    bench: &Bench,
    name: &str,
    of: &str,
    connections: usize,
    one: &Replicas,
    other: &Replicas,
) -> anyhow::Result<Row> {
    for warm in [one, other] {
        warm.run(bench, connections, 1)?;
    }
    let (mut outcomes, mut bases, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let base = other.run(bench, connections, bench.seconds)?.rate;
        let outcome = one.run(bench, connections, bench.seconds)?;
        let ratio = outcome.rate / base;
        say(&format!("{name}: {:.0}/s, {of} {base:.0}/s, {ratio:.3}", outcome.rate));
        outcomes.push(outcome);
        bases.push(base);
        ratios.push(ratio);
    }
    let of = format!("{:.0} of {of}", middle(&bases)?);
    Ok(row(name, &outcomes)?.with_ratio(middle(&ratios)?, &of))
}

/// Draws a second, with the latencies of the median round.
fn row(name: &str, outcomes: &[Outcome]) -> anyhow::Result<Row> {
    let rates: Vec<_> = outcomes.iter().map(|outcome| outcome.rate).collect();
    let rate = middle(&rates)?;
    let of_median = outcomes.iter().find(|outcome| outcome.rate == rate);
    let percentiles = of_median.map(|outcome| outcome.percentiles);
    Ok(Row { percentiles, ..Row::value(name, rate, "draws/s") })
}

fn middle(values: &[f64]) -> anyhow::Result<f64> {
    median(values).context("there was a round")
}

/// What doing something again and again came to.
struct Repeated {
    median_ms: f64,
    /// How often a second.
    rate: f64,
}

fn repeat(
    turn: Duration,
    work: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Repeated> {
    let (start, mut times) = (now(), Vec::new());
    while start.elapsed() < turn {
        let since = now();
        work()?;
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Repeated { median_ms: middle(&times)?, rate })
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}
