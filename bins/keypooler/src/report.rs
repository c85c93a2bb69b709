//! What a command says on standard output: for people or, with `--json`, for programs.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

impl Form {
    /// As the flag `--json` says.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Writes a report, whose text ends its own lines. Whoever closed standard output does not want to know it.
pub(crate) fn print<R: Display + Serialize>(report: &R, form: Form) -> anyhow::Result<()> {
    let text = match form {
        Form::Text => report.to_string(),
        Form::Json => {
            let json = serde_json::to_string(report).context("the report is no JSON")?;
            json + "\n"
        }
    };
    match write(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("the report could not be written to standard output")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes to standard output.
pub(crate) fn write(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}
