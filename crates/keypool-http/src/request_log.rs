//! One line in the log for each request. It never holds a token, a value, a query or a body, nor a part of the path that
//! is not known to be harmless: somebody may put a secret there.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, Method};
use keypool_engine::Caller;
use uuid::Uuid;

use crate::answer::App;
use crate::problem::Code;
use crate::reply::Answer;
use crate::source::Source;

/// What is known of a request whatever becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'r> {
    pub(crate) method: &'r Method,
    /// As it was sent.
    pub(crate) path: &'r str,
    /// The path of its route, if it has one.
    pub(crate) route: Option<&'static str>,
    pub(crate) request_id: &'r HeaderValue,
    pub(crate) source: Source,
    pub(crate) took: Duration,
}

/// Writes the line. Failures of ours are logged even where requests are not, and what is throttled never.
pub(crate) fn write(app: &App, line: &Line<'_>, caller: Option<Caller>, answer: &Answer) {
    let status = match answer {
        Ok(reply) => reply.status,
        Err(problem) => problem.code.status(),
    };
    if !app.settings.log_requests && !status.is_server_error() {
        return;
    }
    let code = answer.as_ref().err().map(|problem| problem.code);
    if code == Some(Code::Throttled) {
        // Told once a second for all of them: whoever guesses at tokens does not get to fill the log.
        return;
    }
    let name = caller.and_then(|caller| app.engine.caller_name(caller));
    let route = line.route;
    macro_rules! log {
        ($level:ident, $message:expr) => {
            tracing::$level!(
                target: "keypool_http",
                method = known(line.method),
                path = &*route.map_or(Cow::Borrowed("-"), |route| harmless(route, line.path)),
                route = route.unwrap_or("-"),
                status = status.as_u16(),
                ms = line.took.as_secs_f64() * 1000.0,
                request_id = text(line.request_id),
                caller = name.as_deref().unwrap_or("-"),
                from = %line.source,
                code = code.map(Code::as_str),
                "{}", $message
            )
        };
    }
    match answer {
        Err(problem) if problem.code == Code::InternalError => log!(error, problem.detail),
        Err(problem) if status.is_server_error() => log!(warn, problem.detail),
        _ => log!(info, "answered"),
    }
}

/// The line for a request whose head could not be read, which hyper answers by itself.
pub(crate) fn write_unreadable(code: Code, request_id: &HeaderValue, peer: Source) {
    tracing::info!(
        target: "keypool_http",
        method = "-",
        path = "-",
        route = "-",
        status = code.status().as_u16(),
        ms = 0.0,
        request_id = text(request_id),
        caller = "-",
        from = %peer,
        code = code.as_str(),
        "answered"
    );
}

/// A header's text; ours are all ASCII.
pub(crate) fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("-")
}

/// The method, if it is one of the well-known.
fn known(method: &Method) -> &str {
    let all = [
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
    if all.contains(method) { method.as_str() } else { "-" }
}

/// The path, but for parts that are no UUID: those stay as the route has them.
fn harmless<'r>(route: &'r str, path: &str) -> Cow<'r, str> {
    if !route.contains('{') {
        return Cow::Borrowed(route);
    }
    let part = |(pattern, actual): (&str, &str)| {
        let is_id = pattern.starts_with('{') && Uuid::try_parse(actual).is_ok();
        if is_id { actual.to_owned() } else { pattern.to_owned() }
    };
    route.split('/').zip(path.split('/')).map(part).collect::<Vec<_>>().join("/").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_ids_and_nothing_else_that_was_sent() {
        let id = "0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b";
        let route = "/admin/consumers/{id}/scopes/{tier}";
        let cases = [
            (
                format!("/admin/consumers/{id}/scopes/serp"),
                format!("/admin/consumers/{id}/scopes/{{tier}}"),
            ),
            (
                format!("/admin/consumers/sk-live-1/scopes/{id}"),
                format!("/admin/consumers/{{id}}/scopes/{id}"),
            ),
        ];
        for (path, logged) in cases {
            assert_eq!(harmless(route, &path), logged);
        }
        assert_eq!(harmless("/health", "/health"), "/health");
    }

    #[test]
    fn methods_of_a_callers_making_are_not_repeated() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        assert_eq!(known(&Method::from_bytes(b"SECRET").unwrap()), "-");
    }
}
