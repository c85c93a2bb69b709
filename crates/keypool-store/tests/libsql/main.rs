//! The contract that every driver has to keep, on the libSQL driver, and what is its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod calls;
#[path = "../it/chain.rs"]
mod chain;
#[path = "../it/changes.rs"]
mod changes;
mod doubt;
#[path = "../it/draws.rs"]
mod draws;
mod fresh;
#[path = "../it/go_program.rs"]
mod go_program;
mod server;
#[path = "../it/snapshot.rs"]
mod snapshot;
#[path = "../it/support.rs"]
mod support;
#[path = "../it/takeover.rs"]
mod takeover;
#[path = "../it/takeover_odd.rs"]
mod takeover_odd;
#[path = "../it/usage.rs"]
mod usage;
