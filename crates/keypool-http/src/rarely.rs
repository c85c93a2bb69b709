//! Keeps a log line that anybody can cause from filling the log: one a second, which stands for all since the last.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

/// Counts what happens at seconds of one clock.
#[derive(Debug)]
pub(crate) struct Rarely {
    started: Instant,
    /// The second of the last line, and how often it has happened from that line on, with 32 bits each.
    last: AtomicU64,
}

impl Default for Rarely {
    fn default() -> Self {
        Self { started: Instant::now(), last: AtomicU64::default() }
    }
}

impl Rarely {
    /// It happened. For how often a line now stands; `None` if there was one within this second.
    pub(crate) fn happened(&self) -> Option<u64> {
        let now = self.started.elapsed().as_secs().min(u64::from(u32::MAX));
        let one_more = |last: u64| {
            let (second, times) = (last >> 32, last & u64::from(u32::MAX));
            if times == 0 || second != now { now << 32 | 1 } else { last.saturating_add(1) }
        };
        let last = self.last.fetch_update(Relaxed, Relaxed, |last| Some(one_more(last)));
        let last = last.unwrap_or_else(|last| last);
        let is_first = one_more(last) == now << 32 | 1;
        is_first.then(|| (last & u64::from(u32::MAX)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_has_one_line_that_stands_for_all_before() {
        let rarely = Rarely::default();
        let lines =
            |times: usize| -> Vec<Option<u64>> { (0..times).map(|_| rarely.happened()).collect() };
        assert_eq!(lines(3), [Some(1), None, None]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(lines(2), [Some(3), None], "two of before, and this one");
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(lines(2), [Some(2), None]);
    }
}
