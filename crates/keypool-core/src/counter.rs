//! Counts grants in windows, what is committed and what is reserved apart, and says from when there is room again.

use crate::{Budget, FeatureNo, GrantId, Period, RateLimit, Timestamp};

/// What a counter stands at, as it is on record: the window that it counts in, and its count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// When the window opened; `None` where none is open yet, or where there are no windows.
    pub since: Option<Timestamp>,
    /// Grants in it.
    pub count: u64,
}

/// What is on record of a key and a feature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureTally {
    /// The feature.
    pub feature: FeatureNo,
    /// The grants of its rate window.
    pub rate: Tally,
    /// The last grant of the key for this feature, which gives the key's turn.
    pub last_grant: Option<GrantId>,
}

/// What a key has used of its budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BudgetUsage {
    /// Grants in the open window or for life, reserved ones included.
    pub used: u64,
    /// When the open window ends; `None` where none is open, or where the count is for life.
    pub resets_at: Option<Timestamp>,
}

/// A counter with room has it from this moment on.
pub(crate) const ALWAYS: Timestamp = Timestamp::MIN;
/// A counter that time does not heal has room again at this moment.
pub(crate) const NEVER: Timestamp = Timestamp::MAX;

/// What bounds a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cap {
    /// The count that cannot be passed; `None` is unlimited.
    limit: Option<u64>,
    /// The length of its windows; `None` counts for life.
    window: Option<Period>,
}

impl Cap {
    /// Lets nothing pass: what holds for a feature that a key never had.
    pub(crate) const NOTHING: Cap = Cap { limit: Some(0), window: Some(Period::MAX) };

    pub(crate) fn has_windows(self) -> bool {
        self.window.is_some()
    }

    /// The moment at which a window ends; `None` if none is open or there are none.
    fn end(self, since: Option<Timestamp>) -> Option<Timestamp> {
        Some(since?.saturating_add(self.window?))
    }

    /// Whether what is counted at `at` counts in the window that opened at `since`.
    pub(crate) fn encloses(self, since: Option<Timestamp>, at: Timestamp) -> bool {
        !self.has_windows() || self.end(since).is_some_and(|end| at < end)
    }

    /// Where a grant that was reserved in the window of `since` counts once `adopted` is the window on record: in
    /// its own if that had ended before or begins after, else in the adopted one.
    pub(crate) fn rehome(
        self,
        since: Option<Timestamp>,
        adopted: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let apart = self.end(since) <= adopted || self.end(adopted) <= since;
        if self.has_windows() && adopted.is_some() && !apart { adopted } else { since }
    }
}

impl From<RateLimit> for Cap {
    fn from(rate: RateLimit) -> Cap {
        Cap { limit: Some(rate.calls), window: Some(rate.window) }
    }
}

impl From<Option<Budget>> for Cap {
    fn from(budget: Option<Budget>) -> Cap {
        Cap { limit: budget.map(|b| b.units), window: budget.and_then(|b| b.window) }
    }
}

/// A count of grants, in the newest window that any of them opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    committed: Tally,
    /// The start of the newest window, committed or reserved.
    window: Option<Timestamp>,
    /// Grants reserved in the newest window; those of older windows can no longer bind.
    reserved: u64,
}

impl Counter {
    pub(crate) fn committed(&self) -> Tally {
        self.committed
    }

    /// The start of the newest window, whether what opened it is on record or not.
    pub(crate) fn window(&self) -> Option<Timestamp> {
        self.window
    }

    /// Grants in the newest window.
    fn used(&self) -> u64 {
        let committed = if self.committed.since == self.window { self.committed.count } else { 0 };
        committed.saturating_add(self.reserved)
    }

    /// The moment from which there is room for a grant: [`ALWAYS`], the end of the window, or [`NEVER`].
    pub(crate) fn free_from(&self, cap: Cap) -> Timestamp {
        match cap.limit {
            None => ALWAYS,
            Some(0) => NEVER,
            Some(_) if cap.has_windows() && self.window.is_none() => ALWAYS,
            Some(limit) if self.used() < limit => ALWAYS,
            Some(_) => cap.end(self.window).unwrap_or(NEVER),
        }
    }

    /// Counts a grant at `at`, which opens a window if none is open; answers the window it counts in.
    pub(crate) fn reserve(&mut self, cap: Cap, at: Timestamp) -> Option<Timestamp> {
        if !cap.encloses(self.window, at) {
            self.window = Some(at);
            self.reserved = 0;
        }
        self.reserved += 1;
        self.window
    }

    /// Puts a reserved grant on record; the count that binds stays as it is.
    pub(crate) fn commit(&mut self, since: Option<Timestamp>) {
        if since == self.window {
            self.reserved -= 1;
        }
        if since > self.committed.since {
            self.committed = Tally { since, count: 1 };
        } else if since == self.committed.since {
            self.committed.count = self.committed.count.saturating_add(1);
        }
    }

    /// Takes a reserved grant back. Answers whether that left its window without any, so that an older one holds
    /// again and a [`recount`](Counter::recount) is due.
    #[must_use]
    pub(crate) fn release(&mut self, since: Option<Timestamp>) -> bool {
        if since != self.window {
            return false;
        }
        self.reserved -= 1;
        self.reserved == 0 && self.committed.since != self.window
    }

    /// Whether what is reserved in the window of `since` still counts there within the limit: what is on record may have
    /// gone on to a later window, or have grown.
    pub(crate) fn holds(&self, cap: Cap, since: Option<Timestamp>) -> bool {
        since >= self.committed.since
            && (since < self.window || cap.limit.is_none_or(|limit| self.used() <= limit))
    }

    /// Takes over what is on record; a [`recount`](Counter::recount) is due.
    pub(crate) fn adopt(&mut self, committed: Tally) {
        self.committed = committed;
    }

    /// Finds the newest window and its count among what is committed and the windows of what is reserved.
    pub(crate) fn recount(&mut self, reserved: impl Iterator<Item = Option<Timestamp>>) {
        self.window = self.committed.since;
        self.reserved = 0;
        for since in reserved {
            if since > self.window {
                self.window = since;
                self.reserved = 0;
            }
            if since == self.window {
                self.reserved += 1;
            }
        }
    }

    /// What is used in the window that is open at `now`.
    pub(crate) fn usage(&self, cap: Cap, now: Timestamp) -> BudgetUsage {
        if cap.encloses(self.window, now) {
            BudgetUsage { used: self.used(), resets_at: cap.end(self.window) }
        } else {
            BudgetUsage { used: 0, resets_at: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MS: Cap = Cap { limit: Some(2), window: Period::from_millis(10) };
    const FOR_LIFE: Cap = Cap { limit: Some(2), window: None };

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn room_comes_back_when_the_window_ends_or_never() {
        let table = [
            (TEN_MS, Tally::default(), ALWAYS),
            (TEN_MS, Tally { since: None, count: 9 }, ALWAYS),
            (TEN_MS, Tally { since: Some(ms(5)), count: 1 }, ALWAYS),
            (TEN_MS, Tally { since: Some(ms(5)), count: 2 }, ms(15)),
            (TEN_MS, Tally { since: Some(Timestamp::MAX), count: 2 }, NEVER),
            (FOR_LIFE, Tally { since: None, count: 1 }, ALWAYS),
            (FOR_LIFE, Tally { since: None, count: 2 }, NEVER),
            (Cap { limit: None, window: None }, Tally { since: None, count: u64::MAX }, ALWAYS),
            (Cap::NOTHING, Tally::default(), NEVER),
        ];
        for (cap, committed, expected) in table {
            let mut counter = Counter::default();
            counter.adopt(committed);
            counter.recount(std::iter::empty());
            assert_eq!(counter.free_from(cap), expected, "{cap:?} {committed:?}");
        }
    }

    #[test]
    fn the_first_grant_after_a_window_ended_opens_the_next() {
        let mut counter = Counter::default();
        for (at, window) in [(5, 5), (14, 5), (2, 5), (15, 15), (24, 15), (99, 99)] {
            assert_eq!(counter.reserve(TEN_MS, ms(at)), Some(ms(window)), "at {at}");
        }
        assert_eq!(Counter::default().reserve(FOR_LIFE, ms(5)), None);
    }

    #[test]
    fn a_late_commit_of_an_older_window_leaves_the_newer_one_alone() {
        let mut counter = Counter::default();
        let (old, new) = (counter.reserve(TEN_MS, ms(5)), counter.reserve(TEN_MS, ms(20)));
        counter.commit(new);
        counter.commit(old);
        assert_eq!(counter.committed(), Tally { since: Some(ms(20)), count: 1 });
        assert_eq!(counter.used(), 1);
    }

    #[test]
    fn a_window_whose_grants_were_all_released_gives_way_to_the_one_before() {
        let mut counter = Counter::default();
        let old = counter.reserve(TEN_MS, ms(5));
        let new = counter.reserve(TEN_MS, ms(20));
        assert_eq!(counter.reserve(TEN_MS, ms(21)), new);
        assert!(!counter.release(new));
        assert!(counter.release(new));
        counter.recount([old].into_iter());
        assert_eq!(counter.usage(TEN_MS, ms(6)), BudgetUsage { used: 1, resets_at: Some(ms(15)) });
    }

    #[test]
    fn a_reserved_grant_counts_in_the_adopted_window_unless_they_are_apart() {
        let table = [(10, 10), (11, 20), (20, 20), (29, 20), (30, 30), (99, 99)];
        for (since, expected) in table {
            assert_eq!(TEN_MS.rehome(Some(ms(since)), Some(ms(20))), Some(ms(expected)), "{since}");
            assert_eq!(TEN_MS.rehome(Some(ms(since)), None), Some(ms(since)));
        }
        assert_eq!(FOR_LIFE.rehome(None, None), None);
    }

    #[test]
    fn a_release_at_the_largest_count_restores_it() {
        let unlimited = Cap { limit: None, window: None };
        let mut counter = Counter::default();
        counter.adopt(Tally { since: None, count: u64::MAX });
        let since = counter.reserve(unlimited, ms(1));
        assert!(!counter.release(since));
        assert_eq!(counter.used(), u64::MAX);
    }
}
