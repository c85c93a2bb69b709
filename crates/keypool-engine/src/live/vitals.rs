//! How the engine is at the moment: its clocks, what waits, and how far memory is behind.

use std::time::Duration;

use keypool_core::Timestamp;
use keypool_store::Store;

use super::Live;
use crate::Engine;

/// How the engine is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// What kind of database the pool is stored in: `sqlite` or `libsql`.
    pub driver: &'static str,
    /// The version of its schema.
    pub schema_version: i64,
    /// How long the pool has been open.
    pub uptime: Duration,
    /// When something was committed last since it was opened, by the engine's time.
    pub last_commit_at: Option<Timestamp>,
    /// Draws that wait to be recorded.
    pub queued_draws: usize,
    /// Changes that wait to be made.
    pub queued_changes: usize,
    /// How far the engine's time is ahead of this machine's wall clock, in milliseconds; negative if it is behind.
    pub clock_offset_ms: i64,
    /// By how much the wall clock stands ahead of the engine's time, where that is too far to be followed.
    pub clock_ahead: Option<Duration>,
    /// How old what memory has of a shared database is at most; `None` where nobody else writes, and before it was
    /// compared first.
    pub memory_age: Option<Duration>,
}

impl Engine {
    /// How the engine is at the moment.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        let store = &self.shared.store;
        self.shared.live().vitals(store)
    }
}

impl Live {
    fn vitals(&mut self, store: &Store) -> Vitals {
        let now = self.now();
        let reading = self.clock.read();
        let age_ms = if store.is_shared() { self.age_ms() } else { None };
        Vitals {
            driver: store.driver(),
            schema_version: store.schema_version(),
            uptime: millis(reading.steady_ms.saturating_sub(self.opened_ms)),
            last_commit_at: self.last_commit_at,
            queued_draws: self.queued_draws,
            queued_changes: self.queued_changes,
            clock_offset_ms: now.as_millis().saturating_sub(reading.wall.as_millis()),
            clock_ahead: self.timekeeper.too_far_ahead(),
            memory_age: age_ms.map(millis),
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
