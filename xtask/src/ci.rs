//! `cargo xtask ci`: everything that must pass before a change lands.

use crate::edges;
use crate::run::{Cargo, say};

pub(crate) fn ci() -> anyhow::Result<()> {
    Cargo::new(&["fmt", "--all", "--check"]).run()?;
    edges::check()?;
    Cargo::new(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
        .run()?;
    Cargo::new(&["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    licences()?;
    for (package, example) in [("keypool-core", "embed_core"), ("keypool-engine", "embed_engine")] {
        Cargo::new(&["run", "--quiet", "--locked", "--package", package, "--example", example])
            .run()?;
    }
    // The binary as it is released, over real sockets.
    Cargo::new(&["test", "--release", "--locked", "--package", "keypooler"]).run()?;
    // The command that README names.
    Cargo::new(&["test", "--workspace", "--locked"]).run()?;
    say("all checks passed");
    Ok(())
}

fn licences() -> anyhow::Result<()> {
    if !Cargo::new(&["deny", "--version"]).succeeds() {
        say(
            "cargo-deny is not installed: licences, bans and sources are not checked (cargo install cargo-deny)",
        );
        return Ok(());
    }
    // Offline it asks for every crate of the lock file, those for other platforms too.
    Cargo::new(&["fetch", "--quiet", "--locked"]).run()?;
    Cargo::new(&["deny", "--offline", "check", "licenses", "bans", "sources"]).run()
}
