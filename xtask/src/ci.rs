//! `cargo xtask ci`: everything that must pass before a change lands.

use crate::contract::{Contract, contract};
use crate::edges;
use crate::run::{Cargo, say};
use crate::simulate;

pub(crate) fn ci() -> anyhow::Result<()> {
    Cargo::new(&["fmt", "--all", "--check"]).run()?;
    edges::check()?;
    Cargo::new(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
        .run()?;
    // Without libSQL, as those may build it who keep the pool in a file.
    let lean = ["clippy", "--package", "keypooler", "--no-default-features", "--locked", "--"];
    Cargo::new(&lean).arg("-D").arg("warnings").run()?;
    Cargo::new(&["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    let licences = licences()?;
    for (package, example) in [("keypool-core", "embed_core"), ("keypool-engine", "embed_engine")] {
        Cargo::new(&["run", "--quiet", "--locked", "--package", package, "--example", example])
            .run()?;
    }
    // The binary as it is released, over real sockets.
    Cargo::new(&["test", "--release", "--locked", "--package", "keypooler"]).run()?;
    let contract = contract()?;
    // The command that README names.
    Cargo::new(&["test", "--workspace", "--locked"]).run()?;
    simulate::simulate(&simulate::Arguments::default())?;
    say(&last_line(licences, contract));
    Ok(())
}

/// Whether licences, bans and sources were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Licences {
    Checked,
    /// There is no cargo-deny.
    NotChecked,
}

fn last_line(licences: Licences, contract: Contract) -> String {
    let mut line = "all checks passed".to_owned();
    if licences == Licences::NotChecked {
        line += ", but licences, bans and sources were not checked: cargo-deny is not installed (cargo install cargo-deny)";
    }
    if contract == Contract::NotChecked {
        line += ", but answers were not held against the API's document: schemathesis is not installed (pip install schemathesis)";
    }
    line
}

/// Checks what is depended on, where cargo-deny is installed.
///
/// # Errors
/// If it finds something.
pub(crate) fn licences() -> anyhow::Result<Licences> {
    if !Cargo::new(&["deny", "--version"]).succeeds() {
        return Ok(Licences::NotChecked);
    }
    // Offline it asks for every crate of the lock file, those for other platforms too.
    Cargo::new(&["fetch", "--quiet", "--locked"]).run()?;
    Cargo::new(&["deny", "--offline", "check", "licenses", "bans", "sources"]).run()?;
    Ok(Licences::Checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_what_was_not_checked() {
        let all = last_line(Licences::Checked, Contract::Checked);
        assert_eq!(all, "all checks passed");
        let said = last_line(Licences::NotChecked, Contract::NotChecked);
        for lacking in ["cargo-deny is not installed", "schemathesis is not installed"] {
            assert!(said.contains(lacking), "{said}");
        }
    }
}
