//! What the tests over sockets start and call servers with.

#[path = "../it/support/http.rs"]
#[expect(dead_code, reason = "shared with other tests, which use the rest")]
mod http;
#[path = "../it/support/server.rs"]
#[expect(dead_code, reason = "shared with other tests, which use the rest")]
mod server;

pub(crate) use http::{Answer, Connection};
pub(crate) use server::{Server, run};

/// An admin token long enough to give no warning.
pub(crate) const ADMIN_TOKEN: &str = "admin-token-for-replica-tests";
