//! What was counted, read at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::{
    Answered, CatchUp, CommitResult, Commits, Counted, DrawOutcome, HistogramReading, Meters,
};
use crate::Engine;

/// All that the engine has counted of its own work since it was opened.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Draws by feature, these in order of name: those that a tier covers, and those that were drawn before.
    pub draws: Vec<(Arc<str>, Counted<DrawOutcome>)>,
    /// Draws for names that no tier ever had.
    pub other_draws: Counted<DrawOutcome>,
    /// How long draws took that were granted, in nanoseconds.
    pub granted: HistogramReading,
    /// How long draws took that were refused, in nanoseconds.
    pub refused: HistogramReading,
    /// How long draws took that could not be recorded, in nanoseconds.
    pub failed: HistogramReading,
    /// Attempts to commit a batch of draws.
    pub batches: CommitMetrics,
    /// Draws of a batch.
    pub batch_sizes: HistogramReading,
    /// Attempts to commit a change by an admin.
    pub changes: CommitMetrics,
    /// What admins changed, by the word that is on record of it; each thing is counted that a change concerns.
    pub changed: Vec<(&'static str, u64)>,
    /// What was taken over from a database that others write to.
    pub catch_ups: Counted<CatchUp>,
    /// Whether a shared database answered when it was asked how it stands.
    pub pulses: Counted<Answered>,
}

/// Attempts to commit.
#[derive(Clone, Debug)]
pub struct CommitMetrics {
    /// How they ended.
    pub results: Counted<CommitResult>,
    /// How long they took, in nanoseconds.
    pub durations: HistogramReading,
}

impl Engine {
    /// What was counted since the engine was opened.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let (features, covered) = {
            let live = self.shared.live();
            (live.roster.features(), live.roster.covered_features())
        };
        let was_drawn = |outcomes: &[(_, u64)]| outcomes.iter().any(|&(_, count)| count > 0);
        let draws = features
            .into_iter()
            .map(|(number, name)| (number, name, self.shared.meters.draws_of(Some(number)).read()));
        let draws =
            draws.filter(|(number, _, outcomes)| covered.contains(number) || was_drawn(outcomes));
        let draws: BTreeMap<_, _> = draws.map(|(_, name, outcomes)| (name, outcomes)).collect();
        self.shared.meters.read(draws.into_iter().collect())
    }
}

impl Meters {
    fn read(&self, draws: Vec<(Arc<str>, Counted<DrawOutcome>)>) -> Metrics {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        Metrics {
            draws,
            other_draws: self.other_draws.read(),
            granted: self.granted.read(),
            refused: self.refused.read(),
            failed: self.failed.read(),
            batches: self.batches.read(),
            batch_sizes: self.batch_sizes.read(),
            changes: self.changes.read(),
            changed: changed.iter().map(|(what, count)| (*what, *count)).collect(),
            catch_ups: self.catch_ups.read(),
            pulses: self.pulses.read(),
        }
    }
}

impl Commits {
    fn read(&self) -> CommitMetrics {
        CommitMetrics { results: self.results.read(), durations: self.durations.read() }
    }
}
