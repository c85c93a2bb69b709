//! What operators and maintainers run: `cargo xtask ci`, `cargo xtask bench`, `cargo xtask dist`, `cargo xtask release`, and
//! every command of the binary, such as `cargo xtask migrate`.

mod bench;
mod ci;
mod contract;
mod dist;
mod edges;
mod operate;
mod release;
mod run;
mod simulate;
mod torture;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the keypooler workspace.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Anything else is a command of the binary, run from the source with all that follows it: \
                  cargo xtask migrate --status, cargo xtask verify --help; docs/commands.md lists them."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that must pass before a change lands: what `.ci/run` runs
    Ci,
    /// Hold the release binary's answers against the API's document, by schemathesis
    Contract,
    /// Live through histories of replicas on one database, with faults, from seeds
    Simulate(simulate::Arguments),
    /// Kill the release binary at its writes, let them fail, stop it and damage its database (needs strace)
    Torture,
    /// Measure the release binary under load, beside bare hyper
    Bench(bench::Arguments),
    /// Build what is released: a static binary, the archive and the Debian package with it, checksums
    Dist(dist::Arguments),
    /// Check whether this commit can be released, and tag it
    Release(release::Arguments),
    /// The server that `bench` compares with
    #[command(hide = true)]
    BareHyper,
    /// The database server that `bench --libsql` measures on
    #[command(hide = true)]
    LibsqlServer(bench::DatabaseArguments),
    /// A command of the binary, with all that follows it
    #[command(external_subcommand)]
    Operate(Vec<OsString>),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Operate(line) => return operate::operate(&line),
        Task::Ci => ci::ci()?,
        Task::Contract => {
            if contract::contract()? == contract::Contract::NotChecked {
                anyhow::bail!("schemathesis is not installed (pip install schemathesis)");
            }
        }
        Task::Simulate(arguments) => simulate::simulate(&arguments)?,
        Task::Torture => torture::torture()?,
        Task::Bench(arguments) => bench::bench(arguments)?,
        Task::Dist(arguments) => dist::dist(arguments)?,
        Task::Release(arguments) => release::release(&arguments)?,
        Task::BareHyper => bench::bare::serve()?,
        Task::LibsqlServer(arguments) => bench::serve_database(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
