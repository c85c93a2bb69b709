//! The answer as it will be sent: status, headers of its own, body.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use crate::problem::Problem;
use crate::secret_buffer::SecretBuffer;

/// Items of a list that are written in one go.
const A_PIECE: usize = 64;

/// What an endpoint answers with.
pub(crate) type Answer = Result<Reply, Problem>;

/// An answer without the headers that all answers carry.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// RFC 9457, with the members `code`, `error`, `field` and `retry_after_seconds` of our own.
#[derive(Serialize)]
struct ProblemBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

impl Reply {
    /// JSON with status 200.
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// JSON with status 201.
    pub(crate) fn created(body: &impl Serialize) -> Self {
        Self::json(StatusCode::CREATED, body)
    }

    /// A JSON array. It is written piece by piece, with others served between: a long list holds nobody up.
    pub(crate) async fn array<'a, T, S: Serialize>(
        status: StatusCode,
        items: &'a [T],
        shape: fn(&'a T) -> S,
    ) -> Self {
        let mut buffer = SecretBuffer::with_capacity(512);
        let mut separator = "[";
        for piece in items.chunks(A_PIECE) {
            for item in piece {
                buffer.extend(separator.as_bytes());
                let written = serde_json::to_writer(&mut buffer, &shape(item));
                written.expect("our shapes are written to memory");
                separator = ",";
            }
            tokio::task::yield_now().await;
        }
        buffer.extend(if items.is_empty() { b"[]" } else { b"]" });
        Self::of_bytes(status, buffer.into_bytes())
    }

    /// JSON that is written already.
    pub(crate) fn of_bytes(status: StatusCode, body: Bytes) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { status, headers, body }
    }

    /// A page of another type, with status 200.
    pub(crate) fn page(content_type: &'static str, body: Bytes) -> Self {
        let mut reply = Self::of_bytes(StatusCode::OK, body);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply
    }

    fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::of_bytes(status, to_json(body, 512))
    }

    /// The same, with the address of the next page (RFC 8288).
    pub(crate) fn with_next_page(mut self, address: &str) -> Self {
        let link = HeaderValue::from_str(&format!("<{address}>; rel=\"next\""))
            .expect("an escaped address is printable ASCII");
        self.headers.insert(LINK, link);
        self
    }
}

/// JSON of about `size` bytes, wiped once it is sent.
pub(crate) fn to_json(body: &impl Serialize, size: usize) -> Bytes {
    let mut buffer = SecretBuffer::with_capacity(size);
    serde_json::to_writer(&mut buffer, body).expect("our shapes are written to memory");
    buffer.into_bytes()
}

impl From<&Problem> for Reply {
    fn from(problem: &Problem) -> Self {
        let status = problem.code.status();
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &problem.detail,
            code: problem.code.as_str(),
            error: &problem.detail,
            field: problem.field.as_deref(),
            retry_after_seconds: problem.retry_after_secs,
        };
        let mut reply = Self::json(status, &body);
        let headers = &mut reply.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(secs) = problem.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if let Some(allow) = &problem.allow {
            let allow = HeaderValue::from_str(allow).expect("methods are printable ASCII");
            headers.insert(ALLOW, allow);
        }
        reply
    }
}
