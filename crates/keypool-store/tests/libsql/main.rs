//! The contract that every driver has to keep, on the libSQL driver, and what is its own.
//!
//! The databases stand behind a test server in this process. Where `KEYPOOL_TEST_LIBSQL_URL` (and
//! `KEYPOOL_TEST_LIBSQL_TOKEN`, if it asks for one) names a real server on this machine (`http://127.0.0.1:…`), the contract
//! runs on that, one test at a time, and wipes its database each time. Run it as `cargo test -p keypool-store --test libsql contract`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod calls;
mod contract;
mod copy;
mod doubt;
mod fresh;
#[path = "../it/go_program.rs"]
mod go_program;
mod order;
mod server;
#[path = "../it/support.rs"]
mod support;
#[path = "../it/takeover.rs"]
mod takeover;
#[path = "../it/takeover_odd.rs"]
mod takeover_odd;
#[path = "../it/upgrade.rs"]
mod upgrade;
mod verify;

use contract::chain;
