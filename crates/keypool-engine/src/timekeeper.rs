//! The engine's time, which never runs back.
//!
//! It starts at the wall clock, or at the newest usage event where that is later, and goes on by the steady clock. A wall
//! clock that falls behind is ignored; one that stays ahead for a minute, by up to a day, is followed; one further ahead
//! is not, and shows in health.

use std::time::Duration;

use keypool_core::Timestamp;

use crate::clock::Reading;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const PATIENCE_MS: i64 = 60 * 1_000;
/// A step smaller than this is drift and not worth a line in the log.
const NOTABLE_MS: i64 = 1_000;

/// The wall clock is too far behind the newest usage event to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFarBehind {
    pub(crate) behind_ms: i64,
    pub(crate) newest: Timestamp,
}

/// Turns readings of the clocks into the engine's time.
#[derive(Clone, Debug)]
pub(crate) struct Timekeeper {
    base: Timestamp,
    base_steady_ms: i64,
    ahead: Option<Lead>,
    too_far_ahead_ms: Option<i64>,
}

/// How far the wall clock stands ahead, and since when.
#[derive(Clone, Copy, Debug)]
struct Lead {
    since_ms: i64,
    ahead_ms: i64,
}

impl Timekeeper {
    /// Starts the engine's time.
    ///
    /// # Errors
    /// [`TooFarBehind`] if the wall clock is more than 24 hours behind `newest`, unless that is `accepted`.
    pub(crate) fn start(
        first: Reading,
        newest: Option<Timestamp>,
        accepted: bool,
    ) -> Result<Self, TooFarBehind> {
        let newest = newest.unwrap_or(first.wall);
        let behind_ms = newest.as_millis().saturating_sub(first.wall.as_millis());
        if behind_ms > DAY_MS && !accepted {
            return Err(TooFarBehind { behind_ms, newest });
        }
        if behind_ms >= NOTABLE_MS {
            tracing::warn!(
                behind_ms,
                "the system clock is behind the newest usage event; time goes on from that event until the clock has caught up"
            );
        }
        Ok(Self {
            base: first.wall.max(newest),
            base_steady_ms: first.steady_ms,
            ahead: None,
            too_far_ahead_ms: None,
        })
    }

    /// The engine's time at a reading of the clocks.
    pub(crate) fn now(&mut self, reading: Reading) -> Timestamp {
        let elapsed_ms = reading.steady_ms.saturating_sub(self.base_steady_ms).max(0);
        let now = self.base.as_millis().saturating_add(elapsed_ms);
        let ahead_ms = reading.wall.as_millis().saturating_sub(now);
        self.too_far_ahead_ms = (ahead_ms > DAY_MS).then_some(ahead_ms);
        if ahead_ms <= 0 || ahead_ms > DAY_MS {
            self.ahead = None;
            return Timestamp::from_millis(now);
        }
        // A further jump begins a minute of its own.
        let same = self.ahead.filter(|lead| ahead_ms < lead.ahead_ms.saturating_add(NOTABLE_MS));
        let lead =
            *self.ahead.insert(same.unwrap_or(Lead { since_ms: reading.steady_ms, ahead_ms }));
        if reading.steady_ms.saturating_sub(lead.since_ms) < PATIENCE_MS {
            return Timestamp::from_millis(now);
        }
        if ahead_ms >= NOTABLE_MS {
            tracing::warn!(ahead_ms, "the system clock stayed ahead for a minute and is followed");
        }
        self.ahead = None;
        self.base = reading.wall;
        self.base_steady_ms = reading.steady_ms;
        reading.wall
    }

    /// How far ahead the wall clock stands, where that is too far to be followed.
    pub(crate) fn too_far_ahead(&self) -> Option<Duration> {
        self.too_far_ahead_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;
    const HOUR_MS: i64 = 60 * 60 * 1_000;

    fn reading(wall_ms: i64, steady_ms: i64) -> Reading {
        Reading { wall: Timestamp::from_millis(wall_ms), steady_ms }
    }

    fn started() -> Timekeeper {
        Timekeeper::start(reading(START, 5), None, false).unwrap()
    }

    fn now(keeper: &mut Timekeeper, wall_ms: i64, steady_ms: i64) -> i64 {
        keeper.now(reading(wall_ms, steady_ms)).as_millis() - START
    }

    #[test]
    fn goes_on_by_the_steady_clock() {
        let mut keeper = started();
        assert_eq!(now(&mut keeper, START, 5), 0);
        assert_eq!(now(&mut keeper, START + 1_500, 1_505), 1_500);
    }

    #[test]
    fn starts_at_the_newest_usage_event_if_that_is_later() {
        let newest = Timestamp::from_millis(START + HOUR_MS);
        let mut keeper = Timekeeper::start(reading(START, 0), Some(newest), false).unwrap();
        assert_eq!(now(&mut keeper, START, 0), HOUR_MS);
    }

    #[test]
    fn refuses_a_wall_clock_more_than_a_day_behind_unless_accepted() {
        let newest = Timestamp::from_millis(START + DAY_MS + 1);
        let refused = Timekeeper::start(reading(START, 0), Some(newest), false).unwrap_err();
        assert_eq!(refused, TooFarBehind { behind_ms: DAY_MS + 1, newest });
        assert!(Timekeeper::start(reading(START, 0), Some(newest), true).is_ok());
        let day_behind = Timestamp::from_millis(START + DAY_MS);
        assert!(Timekeeper::start(reading(START, 0), Some(day_behind), false).is_ok());
    }

    #[test]
    fn ignores_a_wall_clock_that_is_behind() {
        let mut keeper = started();
        assert_eq!(now(&mut keeper, START - HOUR_MS, 1_005), 1_000);
        assert_eq!(now(&mut keeper, START - HOUR_MS, 120_005), 120_000);
    }

    #[test]
    fn follows_a_wall_clock_that_stays_ahead_for_a_minute() {
        let mut keeper = started();
        assert_eq!(now(&mut keeper, START + HOUR_MS, 5), 0);
        assert_eq!(now(&mut keeper, START + HOUR_MS + 59_999, 60_004), 59_999);
        assert_eq!(now(&mut keeper, START + HOUR_MS + 60_000, 60_005), HOUR_MS + 60_000);
        assert_eq!(now(&mut keeper, START + HOUR_MS + 60_001, 60_006), HOUR_MS + 60_001);
    }

    #[test]
    fn forgets_a_jump_that_was_taken_back() {
        let mut keeper = started();
        assert_eq!(now(&mut keeper, START + HOUR_MS, 5), 0);
        assert_eq!(now(&mut keeper, START + 30_000, 30_005), 30_000);
        assert_eq!(now(&mut keeper, START + HOUR_MS, 60_005), 60_000);
    }

    #[test]
    fn a_further_jump_begins_a_minute_of_its_own() {
        let mut keeper = started();
        assert_eq!(now(&mut keeper, START + 1, 5), 0);
        assert_eq!(now(&mut keeper, START + 120_000 + 23 * HOUR_MS, 120_005), 120_000);
        assert_eq!(
            now(&mut keeper, START + 180_000 + 23 * HOUR_MS, 180_005),
            180_000 + 23 * HOUR_MS
        );
    }

    #[test]
    fn does_not_follow_a_wall_clock_more_than_a_day_ahead_and_says_so() {
        let mut keeper = started();
        assert_eq!(now(&mut keeper, START + 2 * DAY_MS, 5), 0);
        assert_eq!(now(&mut keeper, START + 2 * DAY_MS + 120_000, 120_005), 120_000);
        assert_eq!(keeper.too_far_ahead(), Some(Duration::from_secs(2 * 86_400)));
        assert_eq!(now(&mut keeper, START + 130_000, 130_005), 130_000);
        assert_eq!(keeper.too_far_ahead(), None);
    }
}
