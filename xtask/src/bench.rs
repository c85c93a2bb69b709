//! `cargo xtask bench`: the release binary under load beside bare hyper, with what is to be reached; and the micro
//! benchmarks in criterion.

pub(crate) mod bare;
mod cases;
mod client;
mod disk;
mod figures;
mod generator;
mod libsql;
mod load;
mod pool;
pub(crate) mod process;
mod redis;
mod report;
mod searches;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

pub(crate) use crate::bench::libsql::database::{DatabaseArguments, serve as serve_database};
use crate::bench::load::Generator;
use crate::bench::process::Executables;
use crate::bench::report::{Report, Row};
use crate::run::{Cargo, root, say, show};

/// What is measured and how.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    /// Print one JSON document, for machines and for --baseline
    #[arg(long)]
    json: bool,
    /// An earlier run's JSON: print the change of each figure
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Measure on a libSQL database, instead: a slow link, several replicas, a database that stops answering
    #[arg(long)]
    libsql: bool,
    /// How often each case is loaded
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each load takes, in seconds
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Only what has this in its name, and what that is compared with
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Usage events in the database whose pages are read
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Where the databases are made, on the disk that is to be measured [default: the target directory]
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure functions alone, in criterion
    Micro {
        /// Passed on to criterion, such as a filter on the names of benchmarks
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        criterion: Vec<String>,
    },
}

/// What all measurements share.
#[derive(Debug)]
struct Bench {
    executables: Executables,
    generator: Generator,
    folder: PathBuf,
    rounds: usize,
    seconds: u64,
    events: usize,
    only: Option<String>,
}

impl Bench {
    /// Whether something of this name is asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|word| name.contains(word))
    }
}

pub(crate) fn bench(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(Task::Micro { criterion }) = arguments.task {
        let bench = Cargo::new(&["bench", "--package", "xtask", "--bench", "*", "--"]);
        return criterion.iter().fold(bench, Cargo::arg).run();
    }
    let baseline = arguments.baseline.as_deref().map(read).transpose()?;
    let executables = Executables::build(&["keypooler", "xtask"])?;
    let folder = match arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir_in(root().join("target"))?,
    };
    let bench = Bench {
        executables,
        generator: Generator::find(),
        folder: folder.path().canonicalize()?,
        rounds: arguments.rounds.max(1),
        seconds: arguments.seconds.max(1),
        events: arguments.events,
        only: arguments.only,
    };
    let facts = facts(&bench)?;
    facts.iter().for_each(|fact| say(fact));
    let rows = if arguments.libsql { libsql::measure(&bench)? } else { on_sqlite(&bench)? };
    let report = Report { facts, rows };
    if arguments.json {
        show(&serde_json::to_string_pretty(&report)?);
    } else {
        show(&report.table(baseline.as_ref()));
    }
    Ok(())
}

fn on_sqlite(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = cases::measure(bench)?;
    rows.extend(figures::measure(bench)?);
    let redis = redis::measure(bench, &rows)?;
    rows.extend(redis);
    Ok(rows)
}

fn read(baseline: &std::path::Path) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(baseline)
        .with_context(|| format!("{} can't be read", baseline.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no report", baseline.display()))
}

/// The machine, and how it is measured.
fn facts(bench: &Bench) -> anyhow::Result<Vec<String>> {
    let cores = std::thread::available_parallelism()?;
    let of = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = of("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let flush = disk::flush(&bench.folder)?;
    Ok(vec![
        format!("{cores} cores:{}", model.trim_start_matches(['\t', ' ', ':']).to_owned()),
        format!("kernel {}", of("/proc/sys/kernel/osrelease").trim()),
        format!(
            "load by {}, {} rounds of {} s",
            bench.generator.name(),
            bench.rounds,
            bench.seconds
        ),
        format!("a flush of 4 KiB (fdatasync): median {flush:.0} µs"),
    ])
}
