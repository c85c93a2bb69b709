//! What a connection is at, as its parts tell each other without a lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What one connection is at. Clones are of the same connection.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<State>);

/// It does not wait for a request.
const BUSY: u64 = 0;
/// It gave way to another connection.
const GIVEN_UP: u64 = u64::MAX;

#[derive(Debug)]
struct State {
    /// What moments are counted from.
    started: Instant,
    /// Since when it waits for a request, in milliseconds and one more; or one of the two above.
    waits: AtomicU64,
    /// The task that serves it.
    task: OnceLock<AbortHandle>,
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
    /// A new connection; whoever compares how long several wait counts from one moment.
    pub(crate) fn new(started: Instant) -> Self {
        Self(Arc::new(State {
            started,
            waits: AtomicU64::new(BUSY),
            task: OnceLock::new(),
            steps: AtomicU64::new(0),
            is_overdue: AtomicBool::new(false),
            ends_early: AtomicBool::new(false),
        }))
    }

    /// This task serves it from now on.
    pub(crate) fn runs(&self, task: AbortHandle) {
        // There is one, and only one, for each connection.
        let _ = self.0.task.set(task);
    }

    /// Ends the task that serves it.
    pub(crate) fn end(&self) {
        if let Some(task) = self.0.task.get() {
            task.abort();
        }
    }

    /// It waits for a request since this moment.
    pub(crate) fn wait(&self, since: Instant) {
        self.0.waits.store(self.millis(since) + 1, Relaxed);
    }

    /// Something of a request came. Says whether it is to be read, or the connection gave way just now.
    pub(crate) fn go_on(&self) -> bool {
        self.0.waits.swap(BUSY, Relaxed) != GIVEN_UP
    }

    /// Since when it waits for a request, if it does so for at least this long.
    pub(crate) fn waits_since(&self, now: Instant, at_least: Duration) -> Option<u64> {
        let waits = self.0.waits.load(Relaxed);
        let since = waits.checked_sub(1).filter(|_| waits != GIVEN_UP)?;
        let millis = u64::try_from(at_least.as_millis()).unwrap_or(u64::MAX);
        (since.saturating_add(millis) <= self.millis(now)).then_some(since)
    }

    /// It gives way to another, unless it has not waited all the time since then.
    pub(crate) fn give_up(&self, since: u64) -> bool {
        self.0.waits.compare_exchange(since + 1, GIVEN_UP, Relaxed, Relaxed).is_ok()
    }

    fn millis(&self, moment: Instant) -> u64 {
        let millis = moment.saturating_duration_since(self.0.started).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX - 2)
    }

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
