//! Whole histories of a pool from a seed: replicas on one database, clients and an admin, a network that loses, delays and
//! repeats, replicas that are killed and started again, clocks that are set. The same seed is the same history, to the
//! millisecond: one thread, tokio's paused clock, one source of chance.
//!
//! What must hold is looked at after every grant and at every write, past the network, by a witness in the database; and
//! once more at the end, when the network is well again.

mod admin;
mod chance;
mod clients;
mod ledger;
mod many;
mod network;
mod replica;
mod verdict;
mod witness;
mod world;

use std::fmt;

pub use self::chance::Chance;
pub use self::many::{Many, simulate_all};
pub use self::world::simulate;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise of the project that it breaks.
    pub promise: &'static str,
    /// What was seen.
    pub what: String,
}

/// What came of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Draws that were asked for.
    pub draws: u64,
    /// Draws that brought a key.
    pub grants: u64,
    /// Draws that were refused.
    pub refusals: u64,
    /// Draws that could not be recorded, or whose outcome nobody knows.
    pub failures: u64,
    /// Usage events that are on record and whose key reached nobody.
    pub charged_only: u64,
    /// Changes by the admin that were made.
    pub changes: u64,
    /// Replicas that were killed.
    pub kills: u64,
    /// Requests to the database.
    pub requests: u64,
    /// What must not be; none where the program is right.
    pub violations: Vec<Violation>,
    /// A number that is the same for the same history.
    pub print: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}
