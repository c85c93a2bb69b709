//! Moments and lengths of time, in whole milliseconds; it never asks what time it is.

/// A moment: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment that can be named.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment that can be named.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The moment that many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment a period later, or the latest one there is.
    #[must_use]
    pub const fn saturating_add(self, period: Period) -> Timestamp {
        Timestamp(self.0.saturating_add(period.0))
    }
}

/// The length of a window, at least one millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Period(i64);

impl Period {
    /// The longest period there is.
    pub const MAX: Period = Period(i64::MAX);

    /// A period of that many seconds; `None` for 0 and for more than fits.
    #[must_use]
    pub fn from_secs(secs: u64) -> Option<Period> {
        i64::try_from(secs).ok()?.checked_mul(1000).and_then(Period::from_millis)
    }

    /// A period of that many milliseconds; `None` for 0 and less.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Option<Period> {
        if millis > 0 { Some(Period(millis)) } else { None }
    }

    /// Its milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_at_least_a_millisecond_and_fits() {
        let longest_secs = i64::MAX.unsigned_abs() / 1000;
        let table = [
            (0, None),
            (1, Some(1000)),
            (9_300_000_000, Some(9_300_000_000_000)),
            (longest_secs, Some(i64::MAX / 1000 * 1000)),
            (longest_secs + 1, None),
            (u64::MAX, None),
        ];
        for (secs, millis) in table {
            assert_eq!(Period::from_secs(secs).map(Period::as_millis), millis, "{secs} s");
        }
        assert_eq!(Period::from_millis(0), None);
        assert_eq!(Period::from_millis(-1), None);
    }

    #[test]
    fn adding_stops_at_the_latest_moment() {
        assert_eq!(Timestamp::MAX.saturating_add(Period::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(5).saturating_add(Period(7)), Timestamp(12));
    }
}
