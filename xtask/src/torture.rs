//! `cargo xtask torture`: kills the release binary at its writes, flushes and truncates, lets its writes fail under load, stops it
//! and damages its database, and holds what clients were answered against what is on record.

use crate::run::Cargo;

/// Runs it in full, by the tests that run a part each time.
///
/// # Errors
/// If a promise is broken, or `strace` may not trace.
pub(crate) fn torture() -> anyhow::Result<()> {
    Cargo::new(&["test", "--release", "--locked", "--package", "keypooler", "--test", "it", "--"])
        .arg("--nocapture")
        .arg("torture::")
        .env("KEYPOOL_TEST_LONG", "1")
        .run()
}
