//! The binary over real sockets, as its callers and operators meet it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here is a test, in its helpers too"
)]

mod backup;
mod bad_peers;
mod commands;
mod configuration;
#[cfg(feature = "libsql")]
mod copy;
mod development;
mod health;
mod keys;
mod load;
mod migration;
mod moving_over;
mod prune;
mod quick_start;
mod reseal;
mod rotation;
mod secrets;
mod serving;
mod sockets;
mod supervised;
mod support;
mod tls;
mod torture;
