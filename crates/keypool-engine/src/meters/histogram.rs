//! A distribution of measured values, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds for durations, in nanoseconds: from a draw in memory to one that the longest patience has ended.
pub(super) const DURATIONS_NS: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Counts values by the first bound that they don't pass. Adding costs two additions to memory that others may add to at
/// the same time.
#[derive(Debug)]
pub struct Histogram {
    /// Inclusive, in ascending order.
    bounds: &'static [u64],
    /// One for each bound, and one for what lies beyond the last.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a [`Histogram`] stood at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramReading {
    /// Upper bounds, inclusive, in ascending order.
    pub bounds: &'static [u64],
    /// How many values fell up to each bound and beyond the one before; the last counts those beyond all bounds.
    pub buckets: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// An empty distribution over these upper bounds, inclusive and in ascending order.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// An empty distribution of durations, in nanoseconds.
    #[must_use]
    pub fn of_durations() -> Self {
        Self::new(DURATIONS_NS)
    }

    /// Counts a value.
    pub fn add(&self, value: u64) {
        let bucket = self.bounds.iter().position(|&bound| value <= bound);
        self.buckets[bucket.unwrap_or(self.bounds.len())].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration, in nanoseconds.
    pub fn add_duration(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What it stands at. Values that are added meanwhile may be in one part and not yet in the other.
    #[must_use]
    pub fn read(&self) -> HistogramReading {
        HistogramReading {
            bounds: self.bounds,
            buckets: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl HistogramReading {
    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 12] {
            histogram.add(value);
        }
        let reading = histogram.read();
        assert_eq!(reading.buckets, [2, 2, 2]);
        assert_eq!((reading.count(), reading.sum), (6, 36));
    }

    #[test]
    fn durations_are_counted_in_nanoseconds() {
        let histogram = Histogram::of_durations();
        histogram.add_duration(Duration::from_millis(1));
        let reading = histogram.read();
        assert_eq!(reading.sum, 1_000_000);
        let bucket = reading.buckets.iter().position(|&count| count == 1);
        assert_eq!(bucket.map(|at| reading.bounds[at]), Some(1_000_000));
    }

    #[test]
    fn bounds_ascend() {
        assert!(DURATIONS_NS.is_sorted_by(|a, b| a < b));
    }
}
