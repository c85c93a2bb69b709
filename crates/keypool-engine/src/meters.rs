//! What the engine counts of its own work since it was opened: atomics that whoever does the work adds to. Nothing here
//! waits, locks or allocates where a draw passes.

mod counters;
mod histogram;
mod kinds;
mod metrics;
mod slots;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keypool_core::FeatureNo;
use keypool_store::{ChangeRecord, WriteError};

pub use self::counters::{Counted, Counters, Kind};
pub use self::histogram::{Histogram, HistogramReading};
pub use self::kinds::{Answered, CatchUp, CommitResult, DrawOutcome};
pub use self::metrics::{CommitMetrics, Metrics};
use self::slots::Slots;
use crate::DrawError;

/// Upper bounds for the number of draws that are committed together.
const BATCH_SIZES: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000];

/// Everything that is counted. Counts only grow.
#[derive(Debug)]
pub(crate) struct Meters {
    /// By the feature's number.
    draws: Slots<Counters<DrawOutcome>>,
    /// Draws for names that no tier ever had, and for features beyond all slots.
    other_draws: Counters<DrawOutcome>,
    granted: Histogram,
    refused: Histogram,
    failed: Histogram,
    pub(crate) batches: Commits,
    pub(crate) batch_sizes: Histogram,
    pub(crate) changes: Commits,
    /// What was changed, by the word that is on record. Changes are rare.
    changed: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) catch_ups: Counters<CatchUp>,
    pub(crate) pulses: Counters<Answered>,
}

/// Attempts to commit.
#[derive(Debug)]
pub(crate) struct Commits {
    results: Counters<CommitResult>,
    durations: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            draws: Slots::default(),
            other_draws: Counters::default(),
            granted: Histogram::of_durations(),
            refused: Histogram::of_durations(),
            failed: Histogram::of_durations(),
            batches: Commits::default(),
            batch_sizes: Histogram::new(BATCH_SIZES),
            changes: Commits::default(),
            changed: Mutex::default(),
            catch_ups: Counters::default(),
            pulses: Counters::default(),
        }
    }
}

impl Default for Commits {
    fn default() -> Self {
        Self { results: Counters::default(), durations: Histogram::of_durations() }
    }
}

impl Meters {
    /// What is counted of a feature's draws, or of those for names that are no feature's.
    pub(crate) fn draws_of(&self, feature: Option<FeatureNo>) -> &Counters<DrawOutcome> {
        let slot = feature.and_then(|feature| usize::try_from(feature.get()).ok());
        slot.and_then(|slot| self.draws.of(slot)).unwrap_or(&self.other_draws)
    }

    /// Counts what a change has changed that was just committed.
    pub(crate) fn changed(&self, records: &[ChangeRecord]) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            *changed.entry(record.what).or_default() += 1;
        }
    }

    /// Counts a draw whose caller is about to be answered. Grants themselves are counted when they are on record.
    pub(crate) fn answered(
        &self,
        feature: Option<FeatureNo>,
        error: Option<&DrawError>,
        took: Duration,
    ) {
        let durations = match error {
            None => &self.granted,
            Some(DrawError::Refused(_)) => &self.refused,
            Some(DrawError::Unavailable(_)) => &self.failed,
        };
        durations.add_duration(took);
        if let Some(error) = error {
            self.draws_of(feature).add(DrawOutcome::from(error));
        }
    }
}

impl Commits {
    /// Counts an attempt and what it took.
    pub(crate) fn add(&self, outcome: &Result<(), WriteError>, took: Duration) {
        self.results.add(CommitResult::from(outcome));
        self.durations.add_duration(took);
    }
}
