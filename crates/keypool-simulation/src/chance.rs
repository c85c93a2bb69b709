//! The one source of chance of a history.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Random numbers from a seed. Clones draw from the same.
#[derive(Clone, Debug)]
pub struct Chance {
    rng: Arc<Mutex<fastrand::Rng>>,
}

impl Chance {
    /// All that comes of this seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { rng: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))) }
    }

    /// A number from `low` to `high`, both included.
    #[must_use]
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).u64(low..=high)
    }

    /// A place in a list of that many.
    pub(crate) fn index(&self, of: usize) -> usize {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).usize(..of)
    }

    /// True so many times in a thousand.
    pub(crate) fn per_mille(&self, times: u64) -> bool {
        self.between(1, 1_000) <= times
    }

    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }
}
