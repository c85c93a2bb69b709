//! Many histories, several at a time.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{History, Violation, simulate};

/// What came of many histories.
#[derive(Debug, Default)]
pub struct Many {
    /// How many.
    pub histories: u64,
    /// All that happened in them, added up.
    pub all: History,
    /// The seeds of those that break a promise, with what was seen.
    pub broken: Vec<(u64, Vec<Violation>)>,
}

/// Lives through the histories of these seeds, one for each core at a time.
#[must_use]
pub fn simulate_all(seeds: Range<u64>) -> Many {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicU64::new(seeds.start);
    let many = Mutex::new(Many::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if !seeds.contains(&seed) {
                return;
            }
            let history = simulate(seed);
            many.lock().unwrap_or_else(PoisonError::into_inner).add(seed, history);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    many.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Many {
    fn add(&mut self, seed: u64, history: History) {
        self.histories += 1;
        self.all.draws += history.draws;
        self.all.grants += history.grants;
        self.all.refusals += history.refusals;
        self.all.failures += history.failures;
        self.all.charged_only += history.charged_only;
        self.all.changes += history.changes;
        self.all.kills += history.kills;
        self.all.requests += history.requests;
        if !history.violations.is_empty() {
            self.broken.push((seed, history.violations));
        }
    }
}

impl fmt::Display for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let History { draws, grants, refusals, failures, charged_only, .. } = self.all;
        let History { changes, kills, requests, .. } = self.all;
        writeln!(
            f,
            "{} histories: {draws} draws ({grants} grants, {refusals} refusals, {failures} failures, of which \
             {charged_only} were charged all the same), {changes} changes, {kills} kills, {requests} requests to the database",
            self.histories
        )?;
        for (seed, violations) in &self.broken {
            writeln!(f, "seed {seed} (again by cargo xtask simulate --from {seed} --seeds 1):")?;
            for violation in violations.iter().take(5) {
                writeln!(f, "  {violation}")?;
            }
        }
        writeln!(f, "{} of them break a promise", self.broken.len())
    }
}
