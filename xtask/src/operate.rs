//! `cargo xtask <command> …`: runs the binary's own command, so that what operators run is one thing.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};

use crate::run::Cargo;

/// Ends as the binary does.
pub(crate) fn operate(line: &[OsString]) -> anyhow::Result<ExitCode> {
    let keypooler = line.iter().fold(Cargo::binary("keypooler"), Cargo::arg);
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
        for code in [0, 1, 2, 3, 101] {
            let status = ExitStatus::from_raw(i32::from(code) << 8);
            assert_eq!(exit_code(status), ExitCode::from(code));
        }
        let killed = ExitStatus::from_raw(9);
        assert_eq!(exit_code(killed), ExitCode::FAILURE);
    }
}
