//! What a server has counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::streams::Streams;

/// A server's counters. Clones read the same ones; a restart does not reset them.
#[derive(Clone, Debug)]
pub struct Counts {
    tally: Arc<Tally>,
    streams: Arc<Streams>,
}

#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    sockets: AtomicU64,
}

impl Counts {
    pub(crate) fn new(streams: Arc<Streams>) -> Self {
        Self { tally: Arc::default(), streams }
    }

    /// HTTP requests that arrived, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.tally.requests.load(Ordering::Relaxed)
    }

    /// Sockets that were accepted.
    pub fn sockets(&self) -> u64 {
        self.tally.sockets.load(Ordering::Relaxed)
    }

    /// Streams that are open now, with those of requests under way.
    pub fn open_streams(&self) -> usize {
        self.streams.open_now()
    }

    /// The most streams that were open at a time.
    pub fn peak_streams(&self) -> usize {
        self.streams.peak()
    }

    pub(crate) fn count_request(&self) {
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_socket(&self) {
        self.tally.sockets.fetch_add(1, Ordering::Relaxed);
    }
}
