//! `cargo xtask simulate`: lives through histories of replicas on one database with faults, kills and clocks that are set, each from a
//! seed, and tells which of them break a promise.

mod mutants;

use clap::Args;

use crate::run::Cargo;

/// Which seeds.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Build one fault after the other into a copy of the code, and demand that each breaks a promise within so many seeds
    #[arg(long)]
    mutants: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { seeds: 10_000, from: 1, mutants: false }
    }
}

/// Runs them, by the test that runs some each time.
///
/// # Errors
/// If one of them breaks a promise.
pub(crate) fn simulate(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { seeds, from, mutants } = arguments;
    if *mutants {
        return mutants::try_all(*seeds);
    }
    Cargo::new(&["test", "--workspace", "--locked", "--test", "seeds", "--"])
        .arg("--nocapture")
        .arg("no_history_breaks_a_promise")
        .env("KEYPOOL_SIMULATE_SEEDS", seeds.to_string())
        .env("KEYPOOL_SIMULATE_FROM", from.to_string())
        .run()
}
