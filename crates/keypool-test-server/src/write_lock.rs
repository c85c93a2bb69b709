//! The one write lock: who holds it, who waits for it, and when it may be stolen.
//!
//! SQLite has a lock of its own, but one that can only be waited for by trying again and that cannot be taken away.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::clock::moment;

/// How long a waiter sleeps at most before it looks again whether the holder has become idle.
const NEXT_LOOK: Duration = Duration::from_millis(20);

/// The right to write, which one stream has at a time.
#[derive(Debug, Default)]
pub(crate) struct WriteLock {
    holder: Mutex<Option<Holder>>,
    released: Condvar,
}

/// How long the lock is waited for, and after what time it may be stolen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) busy_timeout: Duration,
    pub(crate) lock_timeout: Duration,
}

/// The lock, until this is dropped.
#[derive(Debug)]
pub(crate) struct WriteHold {
    lock: Arc<WriteLock>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    stream: u64,
    since: Instant,
}

impl WriteLock {
    /// Waits for the lock. None: it did not become free in time.
    ///
    /// `steal` rolls back a stream's transaction, with which its hold is dropped, unless the stream is at work.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        stream: u64,
        patience: Patience,
        steal: impl Fn(u64) -> bool,
    ) -> Option<WriteHold> {
        let started = moment();
        let mut holder = self.holder();
        loop {
            let Some(current) = *holder else {
                *holder = Some(Holder { stream, since: moment() });
                return Some(WriteHold { lock: Arc::clone(self) });
            };
            let left = patience.busy_timeout.checked_sub(started.elapsed())?;
            let until_stale = patience.lock_timeout.saturating_sub(current.since.elapsed());
            if until_stale.is_zero() {
                // Stealing drops a hold, which needs this very mutex.
                drop(holder);
                let is_stolen = steal(current.stream);
                holder = self.holder();
                if is_stolen || holder.is_none() {
                    continue;
                }
            }
            let nap = left.min(NEXT_LOOK).min(until_stale.max(Duration::from_millis(1)));
            holder = self
                .released
                .wait_timeout(holder, nap)
                .expect("no thread panics while it looks at the holder")
                .0;
        }
    }

    fn holder(&self) -> MutexGuard<'_, Option<Holder>> {
        self.holder.lock().expect("no thread panics while it looks at the holder")
    }
}

impl Drop for WriteHold {
    fn drop(&mut self) {
        *self.lock.holder() = None;
        self.lock.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const IMPATIENT: Patience =
        Patience { busy_timeout: Duration::from_millis(30), lock_timeout: Duration::from_secs(60) };

    #[test]
    fn is_held_once_at_a_time() {
        let lock = Arc::new(WriteLock::default());
        let first = lock.acquire(1, IMPATIENT, |_| false);
        assert!(first.is_some());
        assert!(lock.acquire(2, IMPATIENT, |_| false).is_none());
        drop(first);
        assert!(lock.acquire(2, IMPATIENT, |_| false).is_some());
    }

    #[test]
    fn a_hold_that_lasts_too_long_is_stolen() {
        let lock = Arc::new(WriteLock::default());
        let first = RefCell::new(lock.acquire(1, IMPATIENT, |_| false));
        let patience = Patience {
            busy_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_millis(20),
        };
        let second = lock.acquire(2, patience, |stream| {
            assert_eq!(stream, 1);
            first.borrow_mut().take().is_some()
        });
        assert!(second.is_some());
        assert!(first.borrow().is_none());
    }
}
