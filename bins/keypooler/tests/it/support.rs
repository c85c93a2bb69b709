//! Starts the binary in a folder of its own, talks to it, and ends it by its id, whatever happens.

mod http;
mod records;
mod server;

pub(crate) use http::{Answer, Connection};
pub(crate) use records::{all_events, keys};
pub(crate) use server::{Running, Server, command, run, usual_command};

/// An admin token long enough to give no warning.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-for-socket-tests";

/// Whether tests may take their time: `KEYPOOL_TEST_LONG` is set.
#[expect(clippy::disallowed_methods, reason = "asked for by who runs the tests")]
pub(crate) fn is_long() -> bool {
    std::env::var_os("KEYPOOL_TEST_LONG").is_some()
}

/// For measurements.
#[expect(clippy::disallowed_methods, reason = "measures how long something takes")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
