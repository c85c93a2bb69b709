//! What an operator may set of how requests are served.

use std::num::NonZeroU64;
use std::time::Duration;

use keypool_engine::TokenDigest;

use crate::source::TrustedProxies;

/// Deadlines, bounds and logging; a deadline of `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// How long the head of a request may take to arrive.
    pub header_timeout: Option<Duration>,
    /// How long its body may take after that.
    pub read_timeout: Option<Duration>,
    /// How long it may be, from the end of its head, until its answer begins.
    pub request_timeout: Option<Duration>,
    /// How long the caller may take to accept an answer.
    pub write_timeout: Option<Duration>,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Option<Duration>,
    /// How long requests in flight may go on once the server shuts down.
    pub shutdown_timeout: Option<Duration>,
    /// The most connections there may be, if there is a limit.
    pub max_connections: Option<NonZeroU64>,
    /// The most of them from one address (one /64 network of IPv6), proxies that are trusted apart.
    pub max_connections_per_address: Option<NonZeroU64>,
    /// The most bytes of a request's head: 1,024 to 65,536.
    pub max_header_bytes: usize,
    /// The most requests on one connection, if there is a limit.
    pub max_requests: Option<NonZeroU64>,
    /// Whose word is taken on where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// What the token is known by that reads `/metrics` and nothing else, if there is one.
    pub metrics_token: Option<TokenDigest>,
    /// Whether each request is logged; failures of the server always are.
    pub log_requests: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            header_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(Duration::from_secs(30)),
            request_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(120)),
            shutdown_timeout: Some(Duration::from_secs(30)),
            max_connections: NonZeroU64::new(10_000),
            max_connections_per_address: NonZeroU64::new(1_000),
            max_header_bytes: 16 * 1024,
            max_requests: NonZeroU64::new(100_000),
            trusted_proxies: TrustedProxies::default(),
            metrics_token: None,
            log_requests: true,
        }
    }
}
