//! How far memory may be behind the database, and the database's clock as it is known here.

use keypool_core::{GrantId, Timestamp};
use keypool_store::Pulse;

/// What memory may have missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freshness {
    /// Nothing, as far as is known.
    Current,
    /// Others have drawn: counters are behind.
    CountersBehind,
    /// Others have changed the pool.
    PoolBehind,
    /// Memory may hold what the database does not: it is loaded anew before anything else is committed.
    Doubtful,
}

/// How the clock of a shared database stands to the steady clock here, by an answer that came quickly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatabaseClock {
    offset_ms: i64,
    /// How long the answer took: the offset is known to half of that.
    took_ms: i64,
    learnt_ms: i64,
}

/// After so long an offset is replaced by any newer one.
const OFFSET_LIFE_MS: i64 = 60_000;

impl DatabaseClock {
    /// What an answer tells that was asked for and came at these readings of the steady clock.
    pub(crate) fn of(now: Timestamp, asked_ms: i64, answered_ms: i64) -> Self {
        let took_ms = answered_ms.saturating_sub(asked_ms).max(0);
        let offset_ms = now.as_millis().saturating_sub(asked_ms.saturating_add(took_ms / 2));
        Self { offset_ms, took_ms, learnt_ms: answered_ms }
    }

    /// The better known of two.
    pub(crate) fn or_better(self, newer: Self) -> Self {
        let is_old = newer.learnt_ms.saturating_sub(self.learnt_ms) > OFFSET_LIFE_MS;
        if is_old || newer.took_ms <= self.took_ms { newer } else { self }
    }

    pub(crate) fn at(self, steady_ms: i64) -> Timestamp {
        Timestamp::from_millis(steady_ms.saturating_add(self.offset_ms))
    }
}

/// How far before the newest event that was seen others' events are looked at: a batch may have come in late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LookBack {
    /// As far as most come late, for whoever looks again soon.
    #[default]
    Near,
    /// As far as any that was not given up.
    Far,
}

impl LookBack {
    const fn ms(self) -> i64 {
        match self {
            Self::Near => 2_000,
            Self::Far => 15_000,
        }
    }
}

/// What was seen last of a shared database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The pool's revision at the last pulse; memory is behind while its own is lower.
    pub(crate) revision: i64,
    /// The newest event at the last pulse.
    pub(crate) latest: Option<GrantId>,
    /// The newest event when counters were taken over last.
    pub(crate) counters: Option<GrantId>,
    /// How far back they are to be looked at next.
    pub(crate) look_back: LookBack,
    /// The moment by the steady clock as of which memory is what the database has, counters too; `None` before the first.
    pub(crate) as_of_ms: Option<i64>,
}

impl Seen {
    /// What a pulse says that memory may have missed.
    pub(crate) fn judge(
        &self,
        pulse: &Pulse,
        revision: i64,
        look_back: Option<LookBack>,
    ) -> Freshness {
        if pulse.revision != revision {
            Freshness::PoolBehind
        } else if pulse.latest_grant != self.counters && look_back.is_some() {
            Freshness::CountersBehind
        } else {
            Freshness::Current
        }
    }

    /// From where on events are to be looked at for keys whose counters are not known.
    pub(crate) fn counters_since(&self) -> GrantId {
        let seen_ms = self.counters.map_or(0, |seen| seen.at().as_millis());
        GrantId::new(seen_ms.saturating_sub(self.look_back.ms()).max(0) << 21)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_taken_from_the_middle_of_the_way() {
        let clock = DatabaseClock::of(Timestamp::from_millis(10_000), 100, 140);
        assert_eq!(clock.at(120), Timestamp::from_millis(10_000));
        assert_eq!(clock.at(1_120), Timestamp::from_millis(11_000));
    }

    #[test]
    fn a_slow_answer_gives_way_to_a_quick_one_and_an_old_one_to_any() {
        let quick = DatabaseClock::of(Timestamp::from_millis(10_000), 0, 10);
        let slow = DatabaseClock::of(Timestamp::from_millis(10_900), 100, 1_100);
        assert_eq!(quick.or_better(slow).took_ms, 10);
        assert_eq!(slow.or_better(quick).took_ms, 10);
        let late = DatabaseClock::of(Timestamp::from_millis(80_000), 70_000, 71_000);
        assert_eq!(quick.or_better(late).took_ms, 1_000);
    }
}
