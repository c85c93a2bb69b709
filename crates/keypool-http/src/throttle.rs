//! Who keeps guessing at tokens: counts failures by their source, and says when there were too many.
//!
//! A valid token never comes here, so nobody can lock anybody out. Sources may be counted together; a wrong token is then
//! told 429 in place of 401 too early.

use tokio::time::Instant;

use crate::rarely::Rarely;
use crate::source::Source;
use crate::tally::{Bound, Tally};

/// So many failures of a source are told as such.
const BOUND: Bound = Bound { most: 100, window_secs: 60 };

/// 128 KiB of them.
const CELLS: usize = 16 * 1024;

/// The failures of all sources.
#[derive(Debug)]
pub(crate) struct Throttle {
    started: Instant,
    failures: Tally,
    reports: Rarely,
}

/// What becomes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// There were too many; how many seconds until they are forgotten.
    pub(crate) throttled_secs: Option<u32>,
    /// How many failures a log line now stands for; `None` if one was written within this second.
    pub(crate) to_report: Option<u64>,
}

impl Throttle {
    /// Nobody has failed yet.
    pub(crate) fn new() -> Self {
        let failures = Tally::new(BOUND, CELLS);
        Self { started: Instant::now(), failures, reports: Rarely::default() }
    }

    /// Counts a failure of this source.
    pub(crate) fn failed(&self, source: Source) -> Failed {
        let throttled_secs = self.failures.once_more(source, self.started.elapsed());
        Failed { throttled_secs, to_report: self.reports.happened() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_hundred_failures_in_a_minute_it_is_too_many() {
        let throttle = Throttle::new();
        let source = Source::of([192, 0, 2, 1].into());
        let failed = || throttle.failed(source).throttled_secs;
        assert!((0..100).all(|_| failed().is_none()));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(failed(), Some(40));
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(failed(), None, "a new minute");
    }
}
