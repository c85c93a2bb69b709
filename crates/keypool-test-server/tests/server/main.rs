//! The server as its clients see it: the libsql crate, and raw HTTP where that would hide something.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helpers fails the test"
)]
#![expect(clippy::disallowed_methods, reason = "measures how long answers take")]

mod client;
mod clock;
mod faults;
mod life;
mod speed;
mod statements;
mod streams;
