//! `cargo xtask torture`: kills the release binary at each write, flush and truncate, lets its writes fail under load and stops it,
//! and holds what clients were answered against what is on record.

use crate::run::Cargo;

/// Runs it in full, by the tests that run a part each time.
///
/// # Errors
/// If a promise is broken.
pub(crate) fn torture() -> anyhow::Result<()> {
    Cargo::new(&["test", "--release", "--locked", "--package", "keypooler", "--test", "it", "--"])
        .arg("--nocapture")
        .arg("torture::")
        .env("KEYPOOL_TEST_LONG", "1")
        .run()
}
