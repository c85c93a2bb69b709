//! Requests by the route's path, method and class of status, and how long they took. What a caller makes up (paths, methods)
//! has one place for all.

use std::time::Duration;

use http::{Method, StatusCode};
use keypool_engine::meters::{Counted, Counters, Histogram, HistogramReading, Kind};
use rustc_hash::FxHashMap;

use crate::routes::routes;

/// The methods that are told apart, all that have a meaning in HTTP (RFC 9110 section 9, RFC 5789).
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

/// What stands for a path that is no route's and for any other method, as in the log.
const OTHER: &str = "-";

const NAMES: [&str; METHODS.len() + 1] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", OTHER];

/// The class of a status (RFC 9110 section 15), of those that are ever answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 2xx.
    Success,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
}

impl Kind for StatusClass {
    const ALL: &'static [Self] = &[Self::Success, Self::ClientError, Self::ServerError];

    fn index(self) -> usize {
        self as usize
    }
}

impl From<StatusCode> for StatusClass {
    fn from(status: StatusCode) -> Self {
        match status {
            _ if status.is_server_error() => Self::ServerError,
            _ if status.is_client_error() => Self::ClientError,
            _ => Self::Success,
        }
    }
}

/// What is counted of requests.
#[derive(Debug)]
pub(crate) struct Requests {
    /// By path, then by method; the last of each is for all others.
    meters: Vec<[Meter; METHODS.len() + 1]>,
    paths: FxHashMap<&'static str, usize>,
}

#[derive(Debug)]
struct Meter {
    answers: Counters<StatusClass>,
    durations: Histogram,
}

/// What was counted of one path and method.
#[derive(Clone, Debug)]
pub struct RequestReading {
    /// The path of a route, or `-` for all others.
    pub path: &'static str,
    /// The method, or `-` for any that is not known.
    pub method: &'static str,
    /// By the class of their status.
    pub answers: Counted<StatusClass>,
    /// How long they took, in nanoseconds.
    pub durations: HistogramReading,
}

impl Default for Requests {
    fn default() -> Self {
        let mut paths: Vec<&'static str> = routes().map(|route| route.path).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.push(OTHER);
        let meter =
            |_| Meter { answers: Counters::default(), durations: Histogram::of_durations() };
        Self {
            meters: paths.iter().map(|_| std::array::from_fn(meter)).collect(),
            paths: paths.into_iter().zip(0..).collect(),
        }
    }
}

impl Requests {
    /// Counts a request that was answered; `path` is that of its route, if it has one.
    pub(crate) fn add(
        &self,
        path: Option<&'static str>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let path = self.paths[path.unwrap_or(OTHER)];
        let method = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        let meter = &self.meters[path][method];
        meter.answers.add(status.into());
        meter.durations.add_duration(took);
    }

    /// What was counted, of all that was ever requested, in order of path.
    pub(crate) fn read(&self) -> Vec<RequestReading> {
        let mut paths: Vec<_> = self.paths.iter().collect();
        paths.sort_unstable();
        let of_path = |(&path, &at): (&&'static str, &usize)| {
            let of_method = move |(nth, meter): (usize, &Meter)| RequestReading {
                path,
                method: NAMES[nth],
                answers: meter.answers.read(),
                durations: meter.durations.read(),
            };
            self.meters[at].iter().enumerate().map(of_method)
        };
        let all = paths.into_iter().flat_map(of_path);
        all.filter(|reading| reading.durations.count() > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(requests: &Requests) -> Vec<(&'static str, &'static str, [u64; 3])> {
        let counts = |reading: &RequestReading| {
            let count = |at: usize| reading.answers[at].1;
            (reading.path, reading.method, [count(0), count(1), count(2)])
        };
        requests.read().iter().map(counts).collect()
    }

    #[test]
    fn what_a_caller_makes_up_has_one_place_for_all() {
        let requests = Requests::default();
        let brew = Method::from_bytes(b"BREW").unwrap();
        let stew = Method::from_bytes(b"STEW").unwrap();
        let took = Duration::from_millis(3);
        requests.add(Some("/key"), &Method::GET, StatusCode::OK, took);
        requests.add(Some("/key"), &Method::GET, StatusCode::TOO_MANY_REQUESTS, took);
        requests.add(Some("/key"), &brew, StatusCode::METHOD_NOT_ALLOWED, took);
        requests.add(Some("/key"), &stew, StatusCode::METHOD_NOT_ALLOWED, took);
        requests.add(None, &Method::GET, StatusCode::NOT_FOUND, took);
        requests.add(Some("/admin/keys"), &Method::POST, StatusCode::SERVICE_UNAVAILABLE, took);
        let expected = [
            ("-", "GET", [0, 1, 0]),
            ("/admin/keys", "POST", [0, 0, 1]),
            ("/key", "GET", [1, 1, 0]),
            ("/key", "-", [0, 2, 0]),
        ];
        assert_eq!(read(&requests), expected);
        assert_eq!(requests.read()[2].durations.sum, 6_000_000);
    }

    #[test]
    fn every_route_has_a_place() {
        let requests = Requests::default();
        for route in routes() {
            let took = Duration::ZERO;
            requests.add(Some(route.path), &Method::GET, StatusCode::OK, took);
        }
        assert_eq!(requests.read().len() + 1, requests.paths.len());
    }

    #[test]
    fn methods_have_their_names() {
        for (method, name) in METHODS.iter().zip(NAMES) {
            assert_eq!(method.as_str(), name);
        }
    }
}
