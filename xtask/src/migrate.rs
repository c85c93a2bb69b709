//! `cargo xtask migrate`: runs the binary's own `keypooler migrate`, so that what operators run is one thing.

use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use crate::run::Cargo;

/// Ends as the binary does.
pub(crate) fn migrate(db: Option<&Path>, status: bool) -> anyhow::Result<ExitCode> {
    let mut keypooler = Cargo::binary("keypooler").arg("migrate");
    if let Some(db) = db {
        keypooler = keypooler.arg("--db").arg(db);
    }
    if status {
        keypooler = keypooler.arg("--status");
    }
    Ok(exit_code(keypooler.status()?))
}

/// The exit code passed on; 1 where there is none, because a signal ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_exit_code_is_the_binarys() {
        for code in [0, 1, 2, 101] {
            let status = ExitStatus::from_raw(i32::from(code) << 8);
            assert_eq!(exit_code(status), ExitCode::from(code));
        }
        let killed = ExitStatus::from_raw(9);
        assert_eq!(exit_code(killed), ExitCode::FAILURE);
    }
}
