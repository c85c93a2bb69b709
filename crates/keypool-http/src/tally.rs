//! How often something has happened, by the source that it came from.
//!
//! The memory is of one size, whoever calls from however many addresses: a source counts in a cell that its address is
//! hashed to under a secret key. Sources may meet in one cell; then they are counted together.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::source::Source;

/// So often within so long is no more than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) most: u32,
    /// It is counted over this time, from the first on.
    pub(crate) window_secs: u32,
}

/// What has happened of one kind.
#[derive(Debug)]
pub(crate) struct Tally<S = RandomState> {
    bound: Bound,
    hasher: S,
    cells: Box<[AtomicU64]>,
}

/// What a source has in a cell: when its window opened, and how often it has happened since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    opened_secs: u32,
    times: u32,
}

impl Cell {
    fn pack(self) -> u64 {
        u64::from(self.opened_secs) << 32 | u64::from(self.times)
    }

    fn unpack(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { opened_secs: half(bits >> 32), times: half(bits) }
    }

    /// Once more, in a new window if the last one is over.
    fn once_more(self, now_secs: u32, window_secs: u32) -> Self {
        if self.times == 0 || now_secs.saturating_sub(self.opened_secs) >= window_secs {
            Self { opened_secs: now_secs, times: 1 }
        } else {
            Self { times: self.times.saturating_add(1), ..self }
        }
    }
}

impl Tally {
    /// Nothing has happened yet. Each of the cells takes 8 bytes.
    pub(crate) fn new(bound: Bound, cells: usize) -> Self {
        Self::with_hasher(bound, cells, RandomState::new())
    }
}

impl<S: BuildHasher> Tally<S> {
    pub(crate) fn with_hasher(bound: Bound, cells: usize, hasher: S) -> Self {
        let cells = std::iter::repeat_with(AtomicU64::default).take(cells).collect();
        Self { bound, hasher, cells }
    }

    /// Counts that it happened once more, `now` after any fixed moment. Where that is too often: in how many seconds it is
    /// forgotten. Of this process nothing is too often.
    pub(crate) fn once_more(&self, source: Source, now: Duration) -> Option<u32> {
        let Bound { most, window_secs } = self.bound;
        let now_secs = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let once_more = |bits| Cell::unpack(bits).once_more(now_secs, window_secs);
        let cell = self.cell(source.network());
        let before = cell.fetch_update(Relaxed, Relaxed, |bits| Some(once_more(bits).pack()));
        let Cell { opened_secs, times } = once_more(before.unwrap_or_default());
        let ends = opened_secs.saturating_add(window_secs);
        (times > most && source != Source::Process).then(|| ends.saturating_sub(now_secs).max(1))
    }

    fn cell(&self, source: Source) -> &AtomicU64 {
        let hash = self.hasher.hash_one(source);
        let index = usize::try_from(hash).unwrap_or_default() % self.cells.len();
        &self.cells[index]
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, DefaultHasher};
    use std::net::IpAddr;

    use super::*;

    /// The same cells at every run.
    type Known = BuildHasherDefault<DefaultHasher>;

    const MOST: u32 = 100;
    const CELLS: usize = 1024;

    fn tally() -> Tally<Known> {
        Tally::with_hasher(Bound { most: MOST, window_secs: 60 }, CELLS, Known::default())
    }

    fn at(address: &str) -> Source {
        Source::of(address.parse().unwrap())
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn after_so_often_in_a_window_it_is_too_often() {
        let tally = tally();
        for _ in 0..MOST {
            assert_eq!(tally.once_more(at("192.0.2.1"), secs(7)), None);
        }
        assert_eq!(tally.once_more(at("192.0.2.1"), secs(27)), Some(40));
        assert_eq!(tally.once_more(at("192.0.2.2"), secs(27)), None, "another source");
        assert_eq!(tally.once_more(Source::UnixSocket, secs(27)), None, "another source");
        assert_eq!(tally.once_more(at("192.0.2.1"), secs(66)), Some(1));
        for _ in 0..MOST {
            assert_eq!(tally.once_more(at("192.0.2.1"), secs(67)), None, "a new window");
        }
        assert_eq!(tally.once_more(at("192.0.2.1"), secs(67)), Some(60));
        for _ in 0..=MOST {
            assert_eq!(tally.once_more(Source::Process, secs(67)), None);
        }
    }

    #[test]
    fn a_network_of_version_6_is_one_source() {
        let tally = tally();
        for host in 0..MOST {
            let address = format!("2001:db8:0:1::{host:x}");
            assert_eq!(tally.once_more(at(&address), secs(0)), None, "{address}");
        }
        assert_eq!(tally.once_more(at("2001:db8:0:1:ffff::"), secs(0)), Some(60));
        assert_eq!(tally.once_more(at("2001:db8:0:2::"), secs(0)), None, "the next network");
    }

    #[test]
    fn its_size_stays_the_same_whoever_calls() {
        let tally = tally();
        for host in 0..100_000_u32 {
            tally.once_more(Source::Address(IpAddr::V4(host.into())), secs(0));
        }
        assert_eq!(tally.cells.len(), CELLS);
    }

    #[test]
    fn counts_stop_at_their_largest() {
        let full = Cell { opened_secs: 7, times: u32::MAX };
        assert_eq!(Cell::unpack(full.pack()), full);
        assert_eq!(full.once_more(8, 60), full);
        assert_eq!(full.once_more(u32::MAX, 60), Cell { opened_secs: u32::MAX, times: 1 });
    }
}
