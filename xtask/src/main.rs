//! What operators and maintainers run: `cargo xtask migrate`, `cargo xtask ci`, `cargo xtask bench`.

mod bench;
mod ci;
mod edges;
mod migrate;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the keypooler workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring a database to today's schema, by the binary's own `keypooler migrate`
    Migrate {
        /// The database file; by default the one that the configuration names
        #[arg(long, value_name = "PATH")]
        db: Option<PathBuf>,
        /// Only report: read-only, changes nothing
        #[arg(long)]
        status: bool,
    },
    /// Everything that must pass before a change lands: what `.ci/run` runs
    Ci,
    /// Measure the release binary under load, beside bare hyper
    Bench(bench::Arguments),
    /// The server that `bench` compares with
    #[command(hide = true)]
    BareHyper,
    /// The database server that `bench --libsql` measures on
    #[command(hide = true)]
    LibsqlServer(bench::DatabaseArguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Migrate { db, status } => return migrate::migrate(db.as_deref(), status),
        Task::Ci => ci::ci()?,
        Task::Bench(arguments) => bench::bench(arguments)?,
        Task::BareHyper => bench::bare::serve()?,
        Task::LibsqlServer(arguments) => bench::serve_database(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
