//! The binary as several processes on one libSQL database: limits, records and changes hold over all of them.
//!
//! Clients keep a ledger of every answer outside the servers, and a checker compares it with the database's file.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "what fails here is a test, in its helpers too; it measures, says what it found, and is steered by the environment"
)]

mod access;
mod at_once;
mod checker;
mod clocks;
mod exact_limits;
mod faults;
mod ledger;
mod load;
mod moving_over;
mod no_answer;
mod records;
mod reseal;
mod sampler;
mod seed;
mod stage;
mod support;
mod windows;
