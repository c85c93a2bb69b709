//! One counter for each of a few kinds of things.

use std::array;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// More kinds than anything here is told apart by.
const MOST_KINDS: usize = 16;

/// What [`Counters`] tell apart: one of a few kinds, all known beforehand.
pub trait Kind: Copy + fmt::Debug + 'static {
    /// All there are, 16 at most.
    const ALL: &'static [Self];

    /// Its place among all.
    fn index(self) -> usize;
}

/// How many were counted of each kind there is.
pub type Counted<K> = Vec<(K, u64)>;

/// Counts things by their kind. Adding takes no lock.
#[derive(Debug)]
pub struct Counters<K: Kind> {
    counts: [AtomicU64; MOST_KINDS],
    kind: PhantomData<K>,
}

impl<K: Kind> Counters<K> {
    /// Counts one more.
    pub fn add(&self, kind: K) {
        self.counts[kind.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn read(&self) -> Counted<K> {
        let count = |kind: &K| (*kind, self.counts[kind.index()].load(Ordering::Relaxed));
        K::ALL.iter().map(count).collect()
    }
}

impl<K: Kind> Default for Counters<K> {
    fn default() -> Self {
        Self { counts: array::from_fn(|_| AtomicU64::new(0)), kind: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::{CatchUp, CommitResult, DrawOutcome};
    use super::*;

    fn assert_each_has_a_place<K: Kind>() {
        assert!(K::ALL.len() <= MOST_KINDS);
        for (at, kind) in K::ALL.iter().enumerate() {
            assert_eq!(kind.index(), at, "{kind:?}");
        }
    }

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        assert_each_has_a_place::<DrawOutcome>();
        assert_each_has_a_place::<CommitResult>();
        assert_each_has_a_place::<CatchUp>();
    }

    #[test]
    fn each_kind_is_counted_apart() {
        let counters = Counters::<CatchUp>::default();
        counters.add(CatchUp::Counters);
        counters.add(CatchUp::Counters);
        counters.add(CatchUp::Pool);
        for (kind, count) in counters.read() {
            let expected = match kind {
                CatchUp::Counters => 2,
                CatchUp::Pool => 1,
                CatchUp::Changes | CatchUp::Number => 0,
            };
            assert_eq!(count, expected, "{kind:?}");
        }
    }
}
