//! How the process ends: the one table of exit codes, the same for all commands.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Something that was asked for could not be done.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong; nothing was done.
const MISUSED: u8 = 2;
/// What was looked at is not as it should be.
const AMISS: u8 = 3;

/// What came of a command that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done; where it was to look, all is well.
    Done,
    /// It has looked, and told what is not as it should be.
    Amiss,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Amiss => Self::from(AMISS),
        }
    }
}

/// Ends because of a failure.
pub(crate) fn failed(error: &impl Display) -> ExitCode {
    complain(error, FAILED)
}

/// Ends because what was asked for cannot be understood.
pub(crate) fn misused(error: &impl Display) -> ExitCode {
    complain(error, MISUSED)
}

/// Says on standard error, in one line, what is wrong.
fn complain(error: &impl Display, code: u8) -> ExitCode {
    let line = error.to_string().replace(['\n', '\r'], " ");
    // Where nobody listens the exit code still tells.
    let _ = writeln!(io::stderr(), "keypooler: {line}");
    ExitCode::from(code)
}
