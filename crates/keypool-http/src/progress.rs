//! What a connection is at, as its parts tell each other without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What one connection is at. Clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Odd while a request is being answered, even in between: it grows by one as an answer begins and as it ends.
    steps: AtomicU64,
    /// The request under way took too long.
    is_overdue: AtomicBool,
    /// The connection ends while its peer may still be sending.
    ends_early: AtomicBool,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Progress);

/// Where a connection stands in its requests. Two that differ have a beginning or an end of an answer between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step(u64);

impl Step {
    /// Whether a request is being answered.
    pub(crate) const fn is_answering(self) -> bool {
        !self.0.is_multiple_of(2)
    }

    /// How many requests were begun.
    pub(crate) const fn requests(self) -> u64 {
        self.0.div_ceil(2)
    }
}

impl Progress {
    /// Where it stands.
    pub(crate) fn step(&self) -> Step {
        Step(self.0.steps.load(Relaxed))
    }

    /// A request's head is read, and its answer begins.
    pub(crate) fn begin(&self) -> Answering {
        self.0.steps.fetch_add(1, Relaxed);
        Answering(self.clone())
    }

    /// The request under way took too long.
    pub(crate) fn set_overdue(&self) {
        self.0.is_overdue.store(true, Relaxed);
    }

    /// Whether the request under way took too long.
    pub(crate) fn is_overdue(&self) -> bool {
        self.0.is_overdue.load(Relaxed)
    }

    /// The connection ends with this answer, while its peer may still be sending.
    pub(crate) fn end_early(&self) {
        self.0.ends_early.store(true, Relaxed);
    }

    /// Whether the connection ends while its peer may still be sending.
    pub(crate) fn ends_early(&self) -> bool {
        self.0.ends_early.load(Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.steps.fetch_add(1, Relaxed);
    }
}
