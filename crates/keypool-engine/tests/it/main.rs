//! The engine at its own edge: a real store in a temporary folder, a clock turned by hand, faults from beside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod admin;
mod agreement;
mod concurrency;
mod consumers;
mod counts;
mod draws;
mod duplicates;
mod faults;
mod guests;
mod key_patch;
mod meters;
mod readiness;
mod reseal;
mod restart;
mod sealing;
mod support;
mod takeover;
mod vitals;
