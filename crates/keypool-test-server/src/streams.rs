//! All streams of a server: their batons, their number, their end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::clock::moment;
use crate::refusal::Refusal;
use crate::session::Session;

/// The streams. A stream's session lies here while no request uses it.
#[derive(Debug)]
pub(crate) struct Streams {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<u64, Slot>,
    last_id: u64,
    open: usize,
    peak: usize,
}

#[derive(Debug)]
enum Slot {
    Idle {
        session: Box<Session>,
        sequence: u64,
        since: Instant,
    },
    /// A request uses it; `is_doomed` once it is to expire with that request.
    Busy {
        is_doomed: bool,
    },
    Expired,
}

/// A stream in the hands of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) id: u64,
    sequence: u64,
}

impl Lease {
    /// What the next request on this stream must show.
    pub(crate) fn baton(self) -> String {
        format!("stream-{}-{}", self.id, self.sequence)
    }
}

impl Streams {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default() }
    }

    /// A new stream.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooManyStreams`].
    pub(crate) fn open(&self) -> Result<Lease, Refusal> {
        let mut state = self.state();
        if state.open >= self.most {
            return Err(Refusal::TooManyStreams);
        }
        state.open += 1;
        state.peak = state.peak.max(state.open);
        state.last_id += 1;
        let id = state.last_id;
        state.slots.insert(id, Slot::Busy { is_doomed: false });
        Ok(Lease { id, sequence: 1 })
    }

    /// The stream that a baton belongs to.
    ///
    /// # Errors
    ///
    /// The stream has expired, or the baton is none or was used before.
    pub(crate) fn resume(
        &self,
        baton: &str,
        idle_limit: Duration,
    ) -> Result<(Lease, Box<Session>), Refusal> {
        self.expire_idle(idle_limit);
        let (id, shown) = parse(baton).ok_or(Refusal::InvalidBaton)?;
        let mut state = self.state();
        let slot = state.slots.get_mut(&id).ok_or(Refusal::InvalidBaton)?;
        let fits = match slot {
            Slot::Idle { sequence, .. } => *sequence == shown,
            Slot::Busy { .. } => false,
            Slot::Expired => return Err(Refusal::StreamExpired),
        };
        let busy = Slot::Busy { is_doomed: false };
        match fits.then(|| std::mem::replace(slot, busy)) {
            Some(Slot::Idle { session, sequence, .. }) => {
                Ok((Lease { id, sequence: sequence + 1 }, session))
            }
            Some(Slot::Busy { .. } | Slot::Expired) | None => Err(Refusal::ReusedBaton),
        }
    }

    /// Keeps a stream for its next request, unless it was ended meanwhile.
    pub(crate) fn keep(&self, lease: Lease, session: Box<Session>) {
        let mut state = self.state();
        match state.slots.get(&lease.id) {
            Some(Slot::Busy { is_doomed: false }) => {
                let Lease { id, sequence } = lease;
                state.slots.insert(id, Slot::Idle { session, sequence, since: moment() });
            }
            Some(Slot::Busy { is_doomed: true }) => {
                state.open -= 1;
                state.slots.insert(lease.id, Slot::Expired);
            }
            Some(Slot::Idle { .. } | Slot::Expired) | None => {}
        }
    }

    /// Ends a stream for good. Its session is the caller's to drop, before this.
    pub(crate) fn close(&self, lease: Lease) {
        let mut state = self.state();
        if state.slots.remove(&lease.id).is_some() {
            state.open -= 1;
        }
    }

    /// Rolls back the transaction of a stream, unless a request uses it.
    pub(crate) fn steal(&self, id: u64) -> bool {
        match self.state().slots.get_mut(&id) {
            Some(Slot::Idle { session, .. }) => {
                session.lose_transaction();
                true
            }
            Some(Slot::Busy { .. } | Slot::Expired) | None => false,
        }
    }

    /// Rolls back the transactions of all streams that no request uses.
    pub(crate) fn steal_all(&self) {
        for slot in self.state().slots.values_mut() {
            if let Slot::Idle { session, .. } = slot {
                session.lose_transaction();
            }
        }
    }

    /// Expires what was idle for too long.
    pub(crate) fn expire_idle(&self, limit: Duration) {
        self.expire(|since| since.elapsed() >= limit);
    }

    /// Expires all streams: those in use with the request that uses them.
    pub(crate) fn expire_all(&self) {
        for slot in self.state().slots.values_mut() {
            if let Slot::Busy { is_doomed } = slot {
                *is_doomed = true;
            }
        }
        self.expire(|_| true);
    }

    /// Forgets all streams, as a server does that is started anew.
    pub(crate) fn forget_all(&self) {
        let mut state = self.state();
        let slots = std::mem::take(&mut state.slots);
        state.open = 0;
        drop(state);
        drop(slots);
    }

    pub(crate) fn open_now(&self) -> usize {
        self.state().open
    }

    pub(crate) fn peak(&self) -> usize {
        self.state().peak
    }

    fn expire(&self, is_over: impl Fn(Instant) -> bool) {
        let mut state = self.state();
        let State { slots, open, .. } = &mut *state;
        let mut ended = Vec::new();
        for slot in slots.values_mut() {
            if matches!(slot, Slot::Idle { since, .. } if is_over(*since)) {
                *open -= 1;
                ended.push(std::mem::replace(slot, Slot::Expired));
            }
        }
        drop(state);
        // Rolling back takes its time.
        drop(ended);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it looks at the streams")
    }
}

/// Stream and sequence number of a baton.
fn parse(baton: &str) -> Option<(u64, u64)> {
    let (id, sequence) = baton.strip_prefix("stream-")?.split_once('-')?;
    Some((id.parse().ok()?, sequence.parse().ok()?))
}
