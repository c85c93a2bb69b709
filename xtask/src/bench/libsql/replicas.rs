//! Replicas on one database, or a server on a file of its own: what is loaded, and by whom.

use std::thread;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::bench::Bench;
use crate::bench::libsql::database::Database;
use crate::bench::libsql::straight::KEYS;
use crate::bench::load::{Load, Outcome};
use crate::bench::pool::{self, Keys};
use crate::bench::process::{Server, Setting};

/// Servers that hand out one pool's keys.
#[derive(Debug)]
pub(crate) struct Replicas {
    pub(crate) servers: Vec<Server>,
    pub(crate) token: String,
    folder: TempDir,
}

impl Replicas {
    /// A server on a SQLite file, with `NORMAL`, as the database server has it.
    pub(crate) fn on_file(bench: &Bench) -> anyhow::Result<Self> {
        Self::start(bench, Setting::plain("normal"), 1, Keys::Unlimited)
    }

    /// So many replicas on a new pool in this database.
    pub(crate) fn on(
        bench: &Bench,
        database: &Database,
        count: usize,
        keys: Keys,
    ) -> anyhow::Result<Self> {
        let setting = Setting { database_url: Some(&database.url), ..Setting::plain("normal") };
        Self::start(bench, setting, count, keys)
    }

    fn start(
        bench: &Bench,
        setting: Setting<'_>,
        count: usize,
        keys: Keys,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(&bench.folder)?;
        let mut servers = Vec::with_capacity(count);
        let mut token = String::new();
        for number in 0..count {
            let own = folder.path().join(number.to_string());
            std::fs::create_dir(&own)?;
            let server = bench.executables.keypooler(&own, setting)?;
            if number == 0 {
                token = pool::set_up(&server, keys, KEYS)?;
            }
            servers.push(server);
        }
        Ok(Self { servers, token, folder })
    }

    /// The first of them.
    pub(crate) fn first(&self) -> anyhow::Result<&Server> {
        self.servers.first().context("there is a replica")
    }

    /// Ends them as an operator does.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.servers.into_iter().try_for_each(Server::stop)
    }

    /// Loads all at once, the connections spread over them. All draws are to be granted.
    pub(crate) fn run(
        &self,
        bench: &Bench,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<Outcome> {
        let connections = connections / self.servers.len();
        let outcomes = thread::scope(|scope| {
            let load = |number: usize, server: &Server| {
                let own = self.folder.path().join(number.to_string());
                let load =
                    Load { address: server.address, token: &self.token, connections, seconds };
                scope.spawn(move || bench.generator.run(load, &own))
            };
            let loads: Vec<_> = self
                .servers
                .iter()
                .enumerate()
                .map(|(number, server)| load(number, server))
                .collect();
            let end = |load: thread::ScopedJoinHandle<'_, anyhow::Result<Outcome>>| {
                load.join().map_err(|_| anyhow::anyhow!("the generator panicked"))?
            };
            loads.into_iter().map(end).collect::<anyhow::Result<Vec<_>>>()
        })?;
        let outcome = outcomes.into_iter().reduce(sum).context("there is a replica")?;
        if outcome.refused > 0 {
            bail!("{} of {} answers were refusals", outcome.refused, outcome.answers);
        }
        Ok(outcome)
    }
}

/// What two loads at the same time come to; of the percentiles the worse.
fn sum(one: Outcome, other: Outcome) -> Outcome {
    let [p50, p99, p999] = [0, 1, 2].map(|at| one.percentiles[at].max(other.percentiles[at]));
    Outcome {
        rate: one.rate + other.rate,
        percentiles: [p50, p99, p999],
        answers: one.answers + other.answers,
        refused: one.refused + other.refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_at_the_same_time_add_up() {
        let one = Outcome { rate: 10.0, percentiles: [1.0, 5.0, 6.0], answers: 20, refused: 0 };
        let other = Outcome { rate: 5.0, percentiles: [2.0, 4.0, 7.0], answers: 10, refused: 1 };
        let both = Outcome { rate: 15.0, percentiles: [2.0, 5.0, 7.0], answers: 30, refused: 1 };
        assert_eq!(sum(one, other), both);
    }
}
