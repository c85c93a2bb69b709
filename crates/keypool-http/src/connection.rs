//! One connection: serves its requests, each in its time.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;

use crate::answer::{App, answer_on};
use crate::progress::{Progress, Step};
use crate::socket::{Deadline, Socket};
use crate::source::Source;
use crate::stream::Stream;

/// The most that hyper keeps of a connection's input before it is understood: more than the gate lets a head have.
const MOST_BUFFERED: usize = 128 * 1024;

/// A connection as its requests know it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Who is at its other end.
    pub(crate) peer: Source,
    /// What it is at.
    pub(crate) progress: Progress,
}

/// Watches that no request takes too long.
struct InTime {
    limit: Option<Duration>,
    deadline: Deadline,
    seen: Step,
}

impl InTime {
    /// Whether the request under way takes too long.
    fn is_over(&mut self, progress: &Progress, cx: &mut Context<'_>) -> bool {
        let step = progress.step();
        if step != self.seen {
            self.seen = step;
            self.deadline.clear();
        }
        step.is_answering() && self.deadline.poll(self.limit, cx).is_ready()
    }
}

/// Serves all requests of one connection.
pub(crate) async fn converse(app: App, stream: Stream, connection: Connection, watcher: Watcher) {
    let progress = connection.progress.clone();
    let limit = app.settings.request_timeout;
    let mut in_time = InTime { limit, deadline: Deadline::default(), seen: Step::default() };
    let socket = Socket::new(stream, Arc::clone(&app.settings), &connection);
    let shared = Arc::new((app, connection));
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let answering = shared.1.progress.begin();
        async move {
            let (app, connection) = &*shared;
            let response = answer_on(app, connection, request).await;
            drop(answering);
            Ok::<_, Infallible>(response)
        }
    });
    let requests = http1::Builder::new()
        .timer(TokioTimer::new())
        // The socket's own deadlines tell a slow head from an idle connection.
        .header_read_timeout(None)
        // Who closes its half after sending still wants the answer, and a draw under way is finished.
        .half_close(true)
        .max_buf_size(MOST_BUFFERED)
        .max_header_size(MOST_BUFFERED)
        .serve_connection(TokioIo::new(socket), service);
    let mut requests = pin!(watcher.watch(requests));
    let ended = poll_fn(|cx| match requests.as_mut().poll(cx) {
        Poll::Pending if in_time.is_over(&progress, cx) => {
            progress.set_overdue();
            requests.as_mut().poll(cx)
        }
        polled @ (Poll::Pending | Poll::Ready(_)) => polled,
    });
    if let Err(error) = ended.await {
        // hyper's texts name what failed, never what was sent.
        tracing::debug!(
            target: "keypool_http",
            error = &error as &dyn std::error::Error,
            "a connection ended early"
        );
    }
}
