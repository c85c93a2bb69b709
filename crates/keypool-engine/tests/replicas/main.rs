//! Several engines on one database: every promise holds over all of them together.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod at_once;
mod clocks;
mod exact;
mod faults;
mod key_patch;
mod support;
