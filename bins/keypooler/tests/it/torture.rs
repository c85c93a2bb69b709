//! Promises 1, 2 and 3 where the file system or the machine fails: the binary is killed at each write, flush and truncate,
//! its writes fail for a while, as `strace` has it, and its file is damaged. A ledger that the clients keep is held against
//! what is on record.
//!
//! Without `strace`, or where it may not trace, tests that need it say so and pass.

mod damage;
mod kill_points;
mod ledger;
mod outages;

use std::process::{Command, Stdio};

/// Whether `strace` is there and may trace; says so if not.
fn can_trace() -> bool {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-e", "trace=write", "-o", "/dev/null", "true"]);
    let can = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !can {
        skipped("strace is not installed, or may not trace");
    }
    can
}

#[expect(clippy::print_stderr, reason = "for who runs the tests: nothing was tried")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[expect(clippy::print_stderr, reason = "figures for who asks for them, with --nocapture")]
fn tell(figures: &str) {
    eprintln!("{figures}");
}
