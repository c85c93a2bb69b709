//! When each consumer was granted a key last: exact for what this process granted, and noted in the database now and
//! then. It is no part of a draw's record, which the usage event is.

use keypool_core::{ConsumerNo, GrantId, Timestamp};
use rustc_hash::FxHashMap;

/// The last grants are noted in the database this long after the first that is not, in milliseconds.
const PACE_MS: i64 = 60_000;

/// The last grant of each consumer.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    of: FxHashMap<ConsumerNo, Use>,
    /// Since when a grant of this process waits to be noted, by the steady clock.
    waiting_since_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    last: GrantId,
    is_noted: bool,
}

impl Uses {
    /// Takes note of a grant that this process has put on record, by the steady clock now.
    pub(crate) fn granted(&mut self, consumer: ConsumerNo, grant: GrantId, now_ms: i64) {
        let newest = Use { last: grant, is_noted: false };
        let entry = self.of.entry(consumer).or_insert(newest);
        if entry.last <= grant {
            *entry = newest;
            self.waiting_since_ms.get_or_insert(now_ms);
        }
    }

    /// Takes over what the database knows.
    pub(crate) fn learn(&mut self, known: &[(ConsumerNo, GrantId)]) {
        for (consumer, grant) in known {
            let known = Use { last: *grant, is_noted: true };
            let entry = self.of.entry(*consumer).or_insert(known);
            if entry.last <= *grant {
                *entry = known;
            }
        }
    }

    /// When a consumer was granted a key last; `None` if never.
    pub(crate) fn last_of(&self, consumer: ConsumerNo) -> Option<Timestamp> {
        self.of.get(&consumer).map(|entry| entry.last.at())
    }

    /// When grants are to be noted, by the steady clock; `None` where none waits.
    pub(crate) fn due_at_ms(&self) -> Option<i64> {
        self.waiting_since_ms.map(|since_ms| since_ms.saturating_add(PACE_MS))
    }

    /// What is to be noted, which counts as noted from now on.
    pub(crate) fn take_waiting(&mut self) -> Vec<(ConsumerNo, GrantId)> {
        if self.waiting_since_ms.take().is_none() {
            return Vec::new();
        }
        let waiting = self.of.iter_mut().filter(|(_, entry)| !entry.is_noted);
        waiting
            .map(|(consumer, entry)| {
                entry.is_noted = true;
                (*consumer, entry.last)
            })
            .collect()
    }

    /// They could not be noted: they wait anew.
    pub(crate) fn put_back(&mut self, waiting: &[(ConsumerNo, GrantId)], now_ms: i64) {
        for (consumer, grant) in waiting {
            self.granted(*consumer, *grant, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use keypool_core::ReplicaNo;

    use super::*;

    const ONE: ConsumerNo = ConsumerNo::new(1);
    const TWO: ConsumerNo = ConsumerNo::new(2);

    fn grant(ms: i64) -> GrantId {
        let replica = ReplicaNo::new(1).unwrap();
        GrantId::compose(Timestamp::from_millis(ms), replica, 0).unwrap()
    }

    #[test]
    fn the_newest_grant_counts_whoever_tells_of_it() {
        let mut uses = Uses::default();
        assert_eq!(uses.last_of(ONE), None);
        uses.learn(&[(ONE, grant(5)), (TWO, grant(9))]);
        uses.granted(ONE, grant(7), 0);
        uses.granted(TWO, grant(7), 0);
        uses.learn(&[(ONE, grant(6))]);
        assert_eq!(uses.last_of(ONE), Some(Timestamp::from_millis(7)));
        assert_eq!(uses.last_of(TWO), Some(Timestamp::from_millis(9)));
        assert_eq!(uses.take_waiting(), [(ONE, grant(7))], "the other is known to the database");
    }

    #[test]
    fn grants_are_noted_a_minute_after_the_first_that_is_not() {
        let mut uses = Uses::default();
        assert_eq!(uses.due_at_ms(), None);
        uses.granted(ONE, grant(1), 10_000);
        uses.granted(ONE, grant(2), 50_000);
        assert_eq!(uses.due_at_ms(), Some(70_000));
        assert_eq!(uses.take_waiting(), [(ONE, grant(2))]);
        assert_eq!((uses.due_at_ms(), uses.take_waiting()), (None, Vec::new()));
    }

    #[test]
    fn what_could_not_be_noted_waits_another_minute_with_what_came_meanwhile() {
        let mut uses = Uses::default();
        uses.granted(ONE, grant(1), 0);
        uses.granted(TWO, grant(1), 0);
        let waiting = uses.take_waiting();
        uses.granted(ONE, grant(2), 60_001);
        uses.put_back(&waiting, 60_002);
        assert_eq!(uses.due_at_ms(), Some(120_001));
        let mut again = uses.take_waiting();
        again.sort_unstable();
        assert_eq!(again, [(ONE, grant(2)), (TWO, grant(1))]);
    }
}
