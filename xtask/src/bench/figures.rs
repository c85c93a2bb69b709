//! Figures that are no rate: how long a draw takes at one connection, what the admin's calls, a start, an event and a
//! connection cost, and whether a long read holds up a draw.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::load::{DRAW, Load};
use crate::bench::pool::{self, Keys};
use crate::bench::process::{ADMIN_TOKEN, Setting};
use crate::bench::report::{Row, Target, median};
use crate::bench::searches::searches;
use crate::bench::{Bench, cases, disk};
use crate::run::say;

const MANY: usize = 10_000;
const FULL: Setting<'static> = Setting::plain("full");
const NORMAL: Setting<'static> = Setting::plain("normal");

/// A figure, or some that are measured together.
type Figure = fn(&Bench) -> anyhow::Result<Vec<Row>>;

const FIGURES: [(&str, Figure); 5] = [
    ("latency at one connection", latency),
    ("adding keys", adding),
    ("memory", memory),
    ("bytes a usage event", bytes),
    ("start and audit", audit),
];

/// Measures every figure that is asked for.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, figure) in FIGURES.iter().filter(|(name, _)| bench.wants(name)) {
        say(&format!("{name}:"));
        for row in figure(bench).with_context(|| *name)? {
            say(&format!("  {}: {:.2} {}", row.name, row.value, row.unit));
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A draw beside a commit of the same rows by a program that does nothing else, in turns.
fn latency(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let (mut draws, mut commits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let (served, bare) =
            (folder.path().join(format!("a{round}")), folder.path().join(format!("b{round}")));
        for pool in [&served, &bare] {
            std::fs::create_dir(pool)?;
        }
        let server = bench.executables.keypooler(&bare, FULL)?;
        pool::set_up(&server, Keys::Unlimited, 10)?;
        server.stop()?;
        let server = bench.executables.keypooler(&served, FULL)?;
        let token = pool::set_up(&server, Keys::Unlimited, 10)?;
        let mut client = server.client(&token)?;
        let mut draw = || client.expect(DRAW, 200).map(drop);
        times(500, &mut draw)?;
        let draw = times(500, &mut draw)?;
        let commit = disk::commit(&bare.join("pool.db"))?;
        draws.push(draw);
        commits.push(commit);
        ratios.push(draw / commit);
    }
    let of = |values: &[f64]| median(values).context("there was a round");
    let commit = Row::value("one commit of a draw's rows, bare sqlx, FULL", of(&commits)?, "µs");
    let draw = Row::value("one draw, FULL, 1 connection", of(&draws)?, "µs");
    Ok(vec![commit, draw.with_ratio(of(&ratios)?, "bare commit").with_target(Target::AtMost(1.5))])
}

fn adding(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let server = bench.executables.keypooler(folder.path(), FULL)?;
    pool::set_up(&server, Keys::Unlimited, 1)?;
    let mut admin = server.client(ADMIN_TOKEN)?;
    let keys = pool::new_keys(Keys::Unlimited, MANY);
    let many = time(|| admin.call("POST", "/admin/keys", &keys).map(drop))?;
    let one = json!({"name": "one more", "tier": "wide", "key": "sk-live-1"});
    let one = times(50, &mut || admin.call("POST", "/admin/keys", &one).map(drop))?;
    server.stop()?;
    Ok(vec![
        Row::value("adding 1 key to 10,000", one / 1e3, "ms").with_target(Target::AtMost(2.0)),
        Row::value("adding 10,000 keys in one call", many / 1e6, "s")
            .with_target(Target::AtMost(1.0)),
    ])
}

fn memory(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let server = bench.executables.keypooler(folder.path(), NORMAL)?;
    let token = pool::set_up(&server, Keys::Unlimited, MANY)?;
    let load =
        Load { address: server.address, token: &token, connections: 128, seconds: bench.seconds };
    bench.generator.run(load, folder.path())?;
    let (now, highest) = server.memory()?;
    server.stop()?;
    let row = |name, bytes: u64| Row::value(name, bytes as f64 / 1_048_576.0, "MiB");
    Ok(vec![
        row("resident memory, 128 connections, 10,000 keys", now).with_target(Target::AtMost(64.0)),
        row("the same at its highest", highest),
    ])
}

fn bytes(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let size = || anyhow::Ok(std::fs::metadata(folder.path().join("pool.db"))?.len());
    let server = bench.executables.keypooler(folder.path(), NORMAL)?;
    let token = pool::set_up(&server, Keys::Unlimited, 10)?;
    server.stop()?;
    let before = size()?;
    let server = bench.executables.keypooler(folder.path(), NORMAL)?;
    let load =
        Load { address: server.address, token: &token, connections: 32, seconds: bench.seconds };
    let drawn = bench.generator.run(load, folder.path())?;
    server.stop()?;
    let grown = (size()? - before) as f64 / drawn.answers as f64;
    Ok(vec![Row::value("file, a usage event", grown, "bytes").with_target(Target::AtMost(48.0))])
}

/// A database of 10,000 keys and many events: how long its start takes, its pages, and draws while it is read.
fn audit(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = bench.folder.join("audit");
    cases::fill(bench, &folder, bench.events)?;
    let server = bench.executables.keypooler(&folder, FULL)?;
    let mut admin = server.client(ADMIN_TOKEN)?;
    admin.call("POST", "/admin/keys", &pool::new_keys(Keys::Unlimited, MANY - 10))?;
    server.stop()?;

    let start = time(|| {
        let server = bench.executables.keypooler(&folder, FULL)?;
        server.client("")?.expect("/health", 200)?;
        server.stop()
    });
    let server = bench.executables.keypooler(&folder, FULL)?;
    let mut admin = server.client(ADMIN_TOKEN)?;
    let listed = admin.call("GET", "/admin/usage?limit=1", &Value::Null)?;
    let key = listed[0]["key_id"].as_str().context("an event names its key")?.to_owned();
    let mut page = |path: &str| times(50, &mut || admin.expect(path, 200).map(drop));
    let newest = page("/admin/usage")?;
    let of_key = page(&format!("/admin/usage?key={key}"))?;

    let token = std::fs::read_to_string(folder.join("token"))?;
    let draws = |connections| {
        let load =
            Load { address: server.address, token: &token, connections, seconds: bench.seconds };
        bench.generator.run(load, &folder)
    };
    let mut rows = vec![
        Row::value(&format!("start, 10,000 keys, {} events", bench.events), start? / 1e6, "s")
            .with_target(Target::AtMost(1.0)),
        Row::value(&format!("newest page of {} events", bench.events), newest / 1e3, "ms")
            .with_target(Target::AtMost(5.0)),
        Row::value(&format!("page of one key of {} events", bench.events), of_key / 1e3, "ms")
            .with_target(Target::AtMost(5.0)),
    ];
    for connections in [1, 32] {
        let alone = draws(connections)?;
        let lists = ["/admin/usage?limit=1000", "/admin/keys"];
        let beside = reading(server.address, &lists, || draws(connections))?;
        for (name, outcome) in [("alone", alone), ("beside long admin reads", beside)] {
            let name = format!("FULL, {connections}, 10,000 keys, {name}");
            let row = Row::value(&name, outcome.rate, "draws/s");
            rows.push(Row { percentiles: Some(outcome.percentiles), ..row });
        }
    }
    rows.extend(searches(bench, &server, &folder)?);
    server.stop()?;
    Ok(rows)
}

/// Runs `work` while an admin reads these, again and again.
pub(crate) fn reading<T>(
    address: std::net::SocketAddr,
    paths: &[&str],
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut admin = crate::bench::client::Client::connect(address, ADMIN_TOKEN)?;
            while !is_over.load(Ordering::Relaxed) {
                paths.iter().try_for_each(|path| admin.expect(path, 200).map(drop))?;
            }
            anyhow::Ok(())
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        done
    })
}

/// The median time of doing something, in microseconds.
pub(crate) fn times(
    count: usize,
    work: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let times = (0..count).map(|_| time(&mut *work)).collect::<anyhow::Result<Vec<_>>>()?;
    median(&times).context("it was done")
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn time(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    let took: Duration = start.elapsed();
    Ok(took.as_secs_f64() * 1e6)
}
