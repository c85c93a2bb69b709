//! What an operator may set of how requests are served.

use std::time::Duration;

/// Deadlines and logging; a deadline of `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// How long the head of a request may take to arrive, and then its body.
    pub read_timeout: Option<Duration>,
    /// How long the caller may take to accept an answer.
    pub write_timeout: Option<Duration>,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Option<Duration>,
    /// How long requests in flight may go on once the server shuts down.
    pub shutdown_timeout: Option<Duration>,
    /// Whether each request is logged; failures of the server always are.
    pub log_requests: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            read_timeout: Some(Duration::from_secs(30)),
            write_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(120)),
            shutdown_timeout: Some(Duration::from_secs(30)),
            log_requests: true,
        }
    }
}
