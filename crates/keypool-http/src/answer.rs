//! The way of one request, from its head to its answer and its line in the log.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Body;
use keypool_engine::{Caller, Engine};
use tokio::time::Instant;
use tracing::Instrument;

use crate::auth;
use crate::body::Arriving;
use crate::input::Input;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};
use crate::request_id::{X_REQUEST_ID, request_id};
use crate::request_log::{self, Line};
use crate::routes::{self, Guarded, Route};
use crate::settings::HttpSettings;

/// The pool as it is spoken to over HTTP.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) engine: Engine,
    read_timeout: Option<Duration>,
    pub(crate) log_requests: bool,
}

impl App {
    /// Speaks for this engine.
    pub fn new(engine: Engine, settings: &HttpSettings) -> Self {
        let HttpSettings { read_timeout, log_requests, .. } = *settings;
        Self { engine, read_timeout, log_requests }
    }
}

/// A route, and what stands in the path for each of its `{…}`.
type Found<'r> = (&'static Route, Vec<&'r str>);

/// An endpoint panicked; the panic hook has said where.
struct Panicked;

/// What is known of a request before it is looked into.
#[derive(Clone, Copy)]
struct Asked<'r> {
    head: &'r Parts,
    /// Where it comes from.
    address: Option<IpAddr>,
    request_id: &'r str,
}

/// Answers one request, which came from `peer` if that is known. It needs no socket, and never fails: whatever goes wrong
/// is an answer.
pub async fn answer<B: Body>(
    app: &App,
    request: Request<B>,
    peer: Option<IpAddr>,
) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let id = request_id(&head.headers);
    let found = one_host(&head).and_then(|()| routes::find(head.method.as_str(), head.uri.path()));
    // What is told of a request at all levels is its own line; a span around every request is for those who look closely.
    let span = tracing::debug_span!(
        target: "keypool_http",
        "request",
        endpoint = found.as_ref().ok().map(|(route, _)| route.endpoint),
        request_id = request_log::text(&id),
    );

    let mut caller = None;
    // An IPv4 address in an IPv6 one (RFC 4291 section 2.5.5.2) is known as what it is.
    let address = peer.map(|peer| peer.to_canonical());
    let asked = Asked { head: &head, address, request_id: request_log::text(&id) };
    let walk = walk(app, asked, body, found, &mut caller);
    let (answer, is_cut) = match survive(walk).instrument(span).await {
        Ok(walked) => walked,
        Err(Panicked) => (Err(Problem::internal()), true),
    };

    let line = Line {
        method: &head.method,
        path: head.uri.path(),
        request_id: &id,
        took: started.elapsed(),
    };
    request_log::write(app, &line, caller, &answer);
    let reply = answer.unwrap_or_else(|problem| Reply::from(&problem));
    response(reply, id, head.method == Method::HEAD, is_cut)
}

/// Judges the request, reads its body and calls its endpoint. The second part says whether some of the body is unread.
async fn walk<B: Body>(
    app: &App,
    asked: Asked<'_>,
    body: B,
    found: Result<Found<'_>, Problem>,
    caller: &mut Option<Caller>,
) -> (Answer, bool) {
    let mut body = pin!(body);
    let mut arriving = Arriving::new(&asked.head.headers, body.as_mut(), app.read_timeout);
    let answer = endpoint(app, asked, &mut arriving, found, caller).await;
    if answer.is_err() {
        arriving.refuse().await;
    }
    (answer, arriving.is_cut())
}

async fn endpoint<B: Body>(
    app: &App,
    Asked { head, address, request_id }: Asked<'_>,
    arriving: &mut Arriving<'_, B>,
    found: Result<Found<'_>, Problem>,
    caller: &mut Option<Caller>,
) -> Answer {
    let (route, segments) = found?;
    let query = head.uri.query().unwrap_or_default();
    match route.guarded {
        Guarded::Anyone(endpoint) => {
            let body = arriving.receive(route.takes).await?;
            endpoint(app, &Input { segments, query, body, address, request_id }).await
        }
        Guarded::Caller(endpoint) => {
            let who = auth::authenticate(&app.engine, &head.headers).await?;
            *caller = Some(who.caller());
            let body = arriving.receive(route.takes).await?;
            endpoint(app, who, &Input { segments, query, body, address, request_id }).await
        }
        Guarded::Admin(endpoint) => {
            let who = auth::authenticate(&app.engine, &head.headers).await?;
            *caller = Some(who.caller());
            let admin = auth::admin(&app.engine, who).await?;
            let body = arriving.receive(route.takes).await?;
            endpoint(app, admin, &Input { segments, query, body, address, request_id }).await
        }
    }
}

/// HTTP/1.1 asks for exactly one Host header (RFC 9112 section 3.2); hyper does not check.
fn one_host(head: &Parts) -> Result<(), Problem> {
    let hosts = head.headers.get_all(HOST).iter().count();
    match (head.version, hosts) {
        (Version::HTTP_11, 1) | (Version::HTTP_10, 0 | 1) => Ok(()),
        _ => Err(Problem::malformed("exactly one Host header is needed")),
    }
}

/// What the future comes to, a panic included.
async fn survive<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

/// Adds the headers that all answers carry.
fn response(
    reply: Reply,
    request_id: HeaderValue,
    is_head: bool,
    ends_connection: bool,
) -> Response<Full<Bytes>> {
    let Reply { status, mut headers, mut body } = reply;
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, request_id);
    if ends_connection {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_head {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        body = Bytes::new();
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
