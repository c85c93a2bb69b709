//! Promises 1, 2 and 3 where the machine fails: the binary is killed at moments of chance and at each write, flush and
//! truncate, it is stopped, its writes fail for a while, and its file is damaged. A ledger that clients keep is held against
//! what is on record.
//!
//! Tests that need `strace` pass without having tried anything where it is not installed or may not trace; under
//! `KEYPOOL_TEST_LONG` they fail there.

mod damage;
mod kill_points;
mod ledger;
mod outages;
mod signals;
mod tracer;

use std::path::Path;

use crate::support::{ADMIN_TOKEN, run};

/// Runs `keypooler verify` on the pool in a folder, which must find nothing.
fn verify(folder: &Path) {
    let report = run(folder, &["verify"], &[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let said = String::from_utf8_lossy(&report.stdout);
    assert!(report.status.success(), "{said}{}", String::from_utf8_lossy(&report.stderr));
}

#[expect(clippy::print_stderr, reason = "figures for who asks for them, with --nocapture")]
fn tell(figures: &str) {
    eprintln!("{figures}");
}
