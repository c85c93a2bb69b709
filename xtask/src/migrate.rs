//! `cargo xtask migrate`: runs the binary's own `keypooler migrate`, so that what operators run is one thing.

use std::path::{Path, absolute};

use crate::run::Cargo;

pub(crate) fn migrate(db: Option<&Path>, status: bool) -> anyhow::Result<()> {
    let mut keypooler = Cargo::new(&["run", "--quiet", "--package", "keypooler", "--", "migrate"]);
    if let Some(db) = db {
        // cargo runs in the workspace's root, which may not be where the path was meant from.
        keypooler = keypooler.arg("--db").arg(absolute(db)?);
    }
    if status {
        keypooler = keypooler.arg("--status");
    }
    keypooler.run()
}
