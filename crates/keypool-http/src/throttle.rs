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
    throttled: Rarely,
}

/// What becomes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// There were too many; how many seconds until they are forgotten.
    pub(crate) throttled_secs: Option<u32>,
    /// How many failures a log line now stands for; `None` if one was written within this second.
    pub(crate) to_report: Option<u64>,
    /// Whether it is to be logged that this very source is throttled: once a second of all that are.
    pub(crate) is_news: bool,
}

impl Throttle {
    /// Nobody has failed yet.
    pub(crate) fn new() -> Self {
        let failures = Tally::new(BOUND, CELLS);
        let (reports, throttled) = (Rarely::default(), Rarely::default());
        Self { started: Instant::now(), failures, reports, throttled }
    }

    /// Counts a failure of this source.
    pub(crate) fn failed(&self, source: Source) -> Failed {
        let throttled_secs = self.failures.once_more(source, self.started.elapsed());
        let is_news = throttled_secs.is_some() && self.throttled.happened().is_some();
        Failed { throttled_secs, to_report: self.reports.happened(), is_news }
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
        assert!(!throttle.failed(source).is_news);
        assert!((0..98).all(|_| !throttle.failed(source).is_news));
        assert!(throttle.failed(source).is_news && !throttle.failed(source).is_news);
    }
}
