//! The way of one request, from its head to its answer and its line in the log.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use keypool_engine::{Caller, Unavailable};
use tokio::time::Instant;
use tracing::Instrument;

pub(crate) use crate::app::App;
use crate::auth;
use crate::body::Arriving;
use crate::connection::Connection;
use crate::input::Input;
use crate::meters::TokenRefused;
use crate::problem::{Code, Problem};
use crate::progress::Progress;
use crate::reply::{Answer, Reply};
use crate::request_id::{X_REQUEST_ID, request_id};
use crate::request_log::{self, Line};
use crate::routes::{self, Guarded, Route};
use crate::source::Source;
use crate::target;

/// A route, and what stands in the path for each of its `{…}`.
type Found<'r> = (&'static Route, Vec<&'r str>);

/// Why a request was not walked to its end.
enum Stopped {
    /// An endpoint panicked; the panic hook has said where.
    Panicked,
    /// It took too long.
    Overdue,
}

/// What is known of a request before it is looked into.
#[derive(Clone, Copy)]
struct Asked<'r> {
    head: &'r Parts,
    source: Source,
    request_id: &'r str,
}

/// Answers one request, which came from `peer` if that is known. It needs no socket, and never fails: whatever goes wrong
/// is an answer.
pub async fn answer<B: Body>(
    app: &App,
    request: Request<B>,
    peer: Option<IpAddr>,
) -> Response<Full<Bytes>> {
    let peer = peer.map_or(Source::Process, Source::of);
    answer_on(app, &Connection { peer, progress: Progress::new(Instant::now()) }, request).await
}

/// Answers one request of a connection.
pub(crate) async fn answer_on<B: Body>(
    app: &App,
    connection: &Connection,
    request: Request<B>,
) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let id = request_id(&head.headers);
    let source = app.settings.trusted_proxies.source(connection.peer, &head.headers);
    let judged = target::check(&head);
    let mut ends = judged.is_err() || ends_connection(app, &connection.progress, &head.headers);
    let found = judged.and_then(|()| routes::find(head.method.as_str(), head.uri.path()));
    // The path may be known even where the method is not.
    let route = match &found {
        Ok((route, _)) => Some(route.path),
        Err(_) => routes::pattern(head.uri.path()),
    };
    // What is told of a request at all levels is its own line; a span around every request is for those who look closely.
    let span = tracing::debug_span!(
        target: "keypool_http",
        "request",
        endpoint = found.as_ref().ok().map(|(route, _)| route.endpoint),
        request_id = request_log::text(&id),
    );

    let mut caller = None;
    let asked = Asked { head: &head, source, request_id: request_log::text(&id) };
    let walk = walk(app, asked, body, found, &mut caller);
    let mut answer = match survive(walk, &connection.progress).instrument(span).await {
        Ok((answer, is_cut)) => {
            ends |= is_cut;
            answer
        }
        Err(stopped) => {
            ends = true;
            Err(stopped.into())
        }
    };
    if ends {
        connection.progress.end_early();
    }
    match answer.as_ref().err().map(|problem| problem.code) {
        Some(Code::Unauthorized) => answer = Err(app.unauthorized(source, &head.headers)),
        Some(Code::Forbidden) => app.meters.tokens.add(TokenRefused::Forbidden),
        _ => {}
    }

    let line = Line {
        method: &head.method,
        path: head.uri.path(),
        route,
        request_id: &id,
        source,
        took: started.elapsed(),
    };
    request_log::write(app, &line, caller, &answer);
    let reply = answer.unwrap_or_else(|problem| Reply::from(&problem));
    app.meters.requests.add(route, &head.method, reply.status, line.took);
    response(reply, id, head.method == Method::HEAD, ends)
}

/// Whether the connection ends with this request, however it is answered: after a body in chunks nobody can disagree with
/// us where the next request begins, and who sends two tokens is not trusted with another.
fn ends_connection(app: &App, progress: &Progress, headers: &HeaderMap) -> bool {
    let is_last = |most: NonZeroU64| progress.step().requests() >= most.get();
    app.settings.max_requests.is_some_and(is_last)
        || headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(AUTHORIZATION).iter().nth(1).is_some()
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Panicked => Self::internal(),
            // What it asked for may be done all the same.
            Stopped::Overdue => Unavailable::InDoubt.into(),
        }
    }
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
    let read_timeout = app.settings.read_timeout;
    let mut arriving = Arriving::new(&asked.head.headers, body.as_mut(), read_timeout);
    let answer = endpoint(app, asked, &mut arriving, found, caller).await;
    if answer.is_err() {
        arriving.refuse().await;
    }
    (answer, arriving.is_cut())
}

async fn endpoint<B: Body>(
    app: &App,
    Asked { head, source, request_id }: Asked<'_>,
    arriving: &mut Arriving<'_, B>,
    found: Result<Found<'_>, Problem>,
    caller: &mut Option<Caller>,
) -> Answer {
    let (route, segments) = found?;
    let query = head.uri.query().unwrap_or_default();
    let headers = &head.headers;
    match route.guarded {
        Guarded::Anyone(endpoint) => {
            let body = arriving.receive(route.takes).await?;
            endpoint(app, &Input { segments, query, headers, body, source, request_id }).await
        }
        Guarded::Caller(endpoint) => {
            let who = auth::authenticate(app, headers).await?;
            *caller = Some(who.caller());
            let body = arriving.receive(route.takes).await?;
            endpoint(app, who, &Input { segments, query, headers, body, source, request_id }).await
        }
        Guarded::Scraper(endpoint) => {
            let scraper = auth::scraper(app, headers).await?;
            let body = arriving.receive(route.takes).await?;
            endpoint(app, scraper, &Input { segments, query, headers, body, source, request_id })
                .await
        }
        Guarded::Admin(endpoint) => {
            let who = auth::authenticate(app, headers).await?;
            *caller = Some(who.caller());
            let admin = auth::admin(&app.engine, who).await?;
            let body = arriving.receive(route.takes).await?;
            endpoint(app, admin, &Input { segments, query, headers, body, source, request_id })
                .await
        }
    }
}

/// What the future comes to, unless it panics or takes too long.
async fn survive<F: Future>(future: F, progress: &Progress) -> Result<F::Output, Stopped> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            // Whoever sets this polls once more.
            Ok(Poll::Pending) if progress.is_overdue() => Poll::Ready(Err(Stopped::Overdue)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Stopped::Panicked)),
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
