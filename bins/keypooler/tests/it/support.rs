//! Starts the binary in a folder of its own, talks to it, and ends it by its id, whatever happens.

mod http;
mod server;

pub(crate) use http::{Answer, Connection};
pub(crate) use server::{Running, Server, command, run};

/// An admin token long enough to give no warning.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-for-socket-tests";
