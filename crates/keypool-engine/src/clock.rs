//! Where the engine's time comes from: the machine's clocks, or one that tests turn by hand.
//!
//! This is the only module that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keypool_core::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// A source of time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clocks: the wall clock, and `CLOCK_BOOTTIME`, which counts through suspend.
    System,
    /// A clock that stands still until it is turned.
    Manual(ManualClock),
    /// The clock of tokio's runtime, which simulations pause.
    #[cfg(feature = "simulation")]
    Runtime(RuntimeClock),
}

/// What both clocks show at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The wall clock; it may jump.
    pub(crate) wall: Timestamp,
    /// Milliseconds on a clock that only goes on, from an arbitrary start.
    pub(crate) steady_ms: i64,
}

/// A clock for tests and simulations: shared between its clones, turned by hand.
#[derive(Clone, Debug)]
pub struct ManualClock {
    hands: Arc<Hands>,
}

#[derive(Debug)]
struct Hands {
    wall_ms: AtomicI64,
    steady_ms: AtomicI64,
}

impl Clock {
    /// What the wall clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.read().wall
    }

    pub(crate) fn read(&self) -> Reading {
        match self {
            Self::System => Reading { wall: wall_clock(), steady_ms: steady_clock_ms() },
            Self::Manual(manual) => manual.read(),
            #[cfg(feature = "simulation")]
            Self::Runtime(runtime) => runtime.read(),
        }
    }
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        let wall_ms = AtomicI64::new(start.as_millis());
        Self { hands: Arc::new(Hands { wall_ms, steady_ms: AtomicI64::new(0) }) }
    }

    /// Lets time pass, on the wall clock and on the steady one.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.hands.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.hands.steady_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, as an operator or NTP does; the steady clock does not notice.
    pub fn set_wall(&self, to: Timestamp) {
        self.hands.wall_ms.store(to.as_millis(), Ordering::SeqCst);
    }

    fn read(&self) -> Reading {
        Reading {
            wall: Timestamp::from_millis(self.hands.wall_ms.load(Ordering::SeqCst)),
            steady_ms: self.hands.steady_ms.load(Ordering::SeqCst),
        }
    }
}

/// A clock for simulations: time goes on as it does for the runtime's timers, and the wall clock can be set. Clones share it.
#[cfg(feature = "simulation")]
#[derive(Clone, Debug)]
pub struct RuntimeClock {
    begun: tokio::time::Instant,
    begun_ms: Arc<AtomicI64>,
}

#[cfg(feature = "simulation")]
impl RuntimeClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        let begun_ms = Arc::new(AtomicI64::new(start.as_millis()));
        Self { begun: tokio::time::Instant::now(), begun_ms }
    }

    /// Sets the wall clock forward, or back, by milliseconds; the steady clock does not notice.
    pub fn set_by(&self, ms: i64) {
        self.begun_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// What the wall clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.read().wall
    }

    fn read(&self) -> Reading {
        let steady_ms = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let wall_ms = self.begun_ms.load(Ordering::SeqCst) + steady_ms;
        Reading { wall: Timestamp::from_millis(wall_ms), steady_ms }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

fn steady_clock_ms() -> i64 {
    let reading = clock_gettime(ClockId::Boottime);
    reading.tv_sec * 1_000 + reading.tv_nsec / 1_000_000
}
