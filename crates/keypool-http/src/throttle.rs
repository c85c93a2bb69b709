//! Who keeps guessing at tokens: counts failures by their source, and says when there were too many.
//!
//! A valid token never comes here, so nobody can lock anybody out. The memory is of one size, whoever calls from however
//! many addresses: a source counts in a cell that its address is hashed to under a secret key. Sources may meet in one
//! cell; a wrong token is then told 429 in place of 401 too early.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::time::Instant;

use crate::rarely::Rarely;
use crate::source::Source;

/// So many failures of a source are told as such.
const MOST: u32 = 100;

/// They are counted over this time, from the first on.
const WINDOW_SECS: u32 = 60;

/// 128 KiB of them.
const CELLS: usize = 16 * 1024;

/// The failures of all sources.
#[derive(Debug)]
pub(crate) struct Throttle<S = RandomState> {
    started: Instant,
    hasher: S,
    cells: Box<[AtomicU64]>,
    reports: Rarely,
}

/// What a source has in a cell: when its window opened, in seconds since the start, and how often it has failed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    opened: u32,
    failures: u32,
}

/// What becomes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// There were too many; how many seconds until they are forgotten.
    pub(crate) throttled_secs: Option<u32>,
    /// How many failures a log line now stands for; `None` if one was written within this second.
    pub(crate) to_report: Option<u64>,
}

impl Cell {
    fn pack(self) -> u64 {
        u64::from(self.opened) << 32 | u64::from(self.failures)
    }

    fn unpack(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { opened: half(bits >> 32), failures: half(bits) }
    }

    /// One more failure, in a new window if the last one is over.
    fn one_more(self, now: u32) -> Self {
        if self.failures == 0 || now.saturating_sub(self.opened) >= WINDOW_SECS {
            Self { opened: now, failures: 1 }
        } else {
            Self { failures: self.failures.saturating_add(1), ..self }
        }
    }
}

impl Throttle {
    /// Nobody has failed yet.
    pub(crate) fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }
}

impl<S: BuildHasher> Throttle<S> {
    fn with_hasher(hasher: S) -> Self {
        let cells = std::iter::repeat_with(AtomicU64::default).take(CELLS).collect();
        Self { started: Instant::now(), hasher, cells, reports: Rarely::default() }
    }

    /// Counts a failure of this source. This process is never told that there were too many.
    pub(crate) fn failed(&self, source: Source) -> Failed {
        let now = u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX);
        let one_more = |bits| Cell::unpack(bits).one_more(now).pack();
        let before =
            self.cell(source.network()).fetch_update(Relaxed, Relaxed, |bits| Some(one_more(bits)));
        let cell = Cell::unpack(before.unwrap_or_default()).one_more(now);
        let ends = cell.opened.saturating_add(WINDOW_SECS);
        let is_throttled = cell.failures > MOST && source != Source::Process;
        let throttled_secs = is_throttled.then(|| ends.saturating_sub(now).max(1));
        Failed { throttled_secs, to_report: self.reports.happened() }
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
    use std::time::Duration;

    use super::*;

    /// The same cells at every run.
    type Known = BuildHasherDefault<DefaultHasher>;

    fn throttle() -> Throttle<Known> {
        Throttle::with_hasher(Known::default())
    }

    fn at(address: &str) -> Source {
        Source::of(address.parse().unwrap())
    }

    async fn advance(secs: u64) {
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_hundred_failures_in_a_minute_it_is_too_many() {
        let throttle = throttle();
        for _ in 0..MOST {
            assert_eq!(throttle.failed(at("192.0.2.1")).throttled_secs, None);
        }
        advance(20).await;
        assert_eq!(throttle.failed(at("192.0.2.1")).throttled_secs, Some(40));
        assert_eq!(throttle.failed(at("192.0.2.2")).throttled_secs, None, "another source");
        assert_eq!(throttle.failed(Source::UnixSocket).throttled_secs, None, "another source");
        advance(39).await;
        assert_eq!(throttle.failed(at("192.0.2.1")).throttled_secs, Some(1));
        advance(1).await;
        for _ in 0..MOST {
            assert_eq!(throttle.failed(at("192.0.2.1")).throttled_secs, None, "a new minute");
        }
        assert_eq!(throttle.failed(at("192.0.2.1")).throttled_secs, Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_version_6_is_one_source() {
        let throttle = throttle();
        for host in 0..MOST {
            let address = format!("2001:db8:0:1::{host:x}");
            assert_eq!(throttle.failed(at(&address)).throttled_secs, None, "{address}");
        }
        assert_eq!(throttle.failed(at("2001:db8:0:1:ffff::")).throttled_secs, Some(60));
        assert_eq!(throttle.failed(at("2001:db8:0:2::")).throttled_secs, None, "the next network");
    }

    #[tokio::test(start_paused = true)]
    async fn its_size_stays_the_same_whoever_calls() {
        let throttle = throttle();
        for host in 0..100_000_u32 {
            throttle.failed(Source::Address(IpAddr::V4(host.into())));
        }
        assert_eq!(throttle.cells.len(), CELLS);
    }

    #[test]
    fn counts_stop_at_their_largest() {
        let full = Cell { opened: 7, failures: u32::MAX };
        assert_eq!(Cell::unpack(full.pack()), full);
        assert_eq!(full.one_more(8), full);
        assert_eq!(full.one_more(u32::MAX), Cell { opened: u32::MAX, failures: 1 });
    }
}
