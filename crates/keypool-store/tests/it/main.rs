//! The store at its edge: a contract that every driver has to keep, and the ways in which a SQLite file is opened,
//! refused and taken over.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod backup;
mod chain;
mod changes;
mod consumers;
mod draws;
mod faults;
mod fresh;
mod go_program;
mod growth;
mod key_updates;
mod opening;
mod prune;
mod records;
mod refused;
mod reseal;
mod snapshot;
mod support;
mod takeover;
mod takeover_file;
mod takeover_odd;
mod upgrade;
mod usage;
mod verify;
