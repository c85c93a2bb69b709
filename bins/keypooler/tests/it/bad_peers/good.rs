//! A good client: draws over one connection, and takes the time.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{ADMIN_TOKEN, Connection, now};

/// So many draws tell something of the slowest hundredth.
const OFTEN: usize = 1_000;

/// A client whose every draw is granted.
#[derive(Debug)]
pub(super) struct Good(Connection);

/// How long draws took, the shortest first.
#[derive(Debug)]
pub(super) struct Latencies(Vec<Duration>);

impl Good {
    pub(super) fn open(address: SocketAddr) -> Self {
        Self(Connection::try_open(address).unwrap())
    }

    /// Draws often enough to tell something.
    pub(super) fn draw_often(&mut self) -> Latencies {
        self.draw_while(|| false)
    }

    /// Draws again and again for so long.
    pub(super) fn draw_for(&mut self, time: Duration) -> Latencies {
        let start = now();
        self.draw_while(|| start.elapsed() < time)
    }

    /// Draws again and again, and often enough to tell something.
    pub(super) fn draw_while(&mut self, mut goes_on: impl FnMut() -> bool) -> Latencies {
        let mut latencies = Vec::new();
        while goes_on() || latencies.len() < OFTEN {
            let start = now();
            self.get("/key?feature=f");
            latencies.push(start.elapsed());
        }
        latencies.sort_unstable();
        Latencies(latencies)
    }

    /// A metric of the server's, a second old at most.
    pub(super) fn metric(&mut self, name: &str) -> u64 {
        let page = self.get("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    fn get(&mut self, path: &str) -> String {
        let answer = self.0.request("GET", path, Some(ADMIN_TOKEN), None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

impl Latencies {
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    /// Those of the same kind from another time.
    pub(super) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
        self.0.sort_unstable();
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p99) = (self.percentile(50), self.percentile(99));
        write!(f, "{} draws, median {median:?}, 99th percentile {p99:?}", self.0.len())
    }
}
