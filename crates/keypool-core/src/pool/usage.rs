//! Readings of the counters.

use super::Pool;
use crate::{BudgetUsage, FeatureNo, KeyNo, Timestamp};

impl Pool {
    /// What a key has used of its budget in the window that is open at `now`, or for life; `None` for an unknown key.
    ///
    /// A key without a budget is counted for life.
    #[must_use]
    pub fn budget_usage(&self, key: KeyNo, now: Timestamp) -> Option<BudgetUsage> {
        let key = &self.keys[*self.numbers.get(&key)?];
        Some(key.budget.usage(key.cap(), now))
    }

    /// How often a key was granted for a feature in the rate window that is open at `now`; 0 if its tier does not
    /// cover the feature.
    #[must_use]
    pub fn rate_usage(&self, key: KeyNo, feature: FeatureNo, now: Timestamp) -> u64 {
        let key = self.numbers.get(&key).map(|&key| &self.keys[key]);
        let seat = key.and_then(|key| key.seat(feature)).map(|seat| &self.seats[seat]);
        let covered = seat.filter(|seat| seat.line.is_some());
        covered.map_or(0, |seat| seat.rate.usage(seat.cap, now).used)
    }
}
