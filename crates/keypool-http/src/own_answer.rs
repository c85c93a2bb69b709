//! Answers that hyper gives by itself when it can't read the head of a request: they have no body and none of our
//! headers. This page recognises them on their way out and puts ours in their place.

use http::{HeaderValue, StatusCode};

use crate::problem::{Code, Problem};
use crate::reply::Reply;
use crate::request_id::X_REQUEST_ID;

/// No answer of hyper's own is longer.
const MOST: usize = 1024;

/// What to say instead of `written`, if that is hyper's own answer (a head without our request id and no body): the
/// `refusal` that hyper was made to answer for, or else what its status stands for.
///
/// Nothing of ours is taken for one: no body of ours holds a bare line break where a head has one.
pub(crate) fn meant_by(written: &[u8], refusal: Option<&Problem>) -> Option<Problem> {
    // Every write passes here, with all that is still to be written: this has to cost the same for any length.
    if written.len() > MOST || !written.starts_with(b"HTTP/1.") {
        return None;
    }
    let head = std::str::from_utf8(written.strip_suffix(b"\r\n\r\n")?).ok()?;
    let rest = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "))?;
    let is_ours = head.contains(X_REQUEST_ID.as_str());
    if is_ours || head.contains("\r\n\r\n") || !head.contains("content-length: 0") {
        return None;
    }
    let by_status = match rest.get(..3)? {
        "400" => Problem::malformed("the request is not proper HTTP"),
        "414" => Problem::new(Code::UriTooLong, "the request's URI is too long"),
        "431" => Problem::new(Code::HeadersTooLarge, "the request's headers are too large"),
        _ => return None,
    };
    Some(refusal.cloned().unwrap_or(by_status))
}

/// The whole answer, as it goes over the wire. The connection ends with it.
pub(crate) fn head_and_body(problem: &Problem, request_id: &HeaderValue) -> Vec<u8> {
    let Reply { status, headers, body } = Reply::from(problem);
    let reason = StatusCode::canonical_reason(&status).unwrap_or_default();
    let mut answer = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    let mut add = |name: &str, value: &[u8]| {
        answer.extend_from_slice(name.as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value);
        answer.extend_from_slice(b"\r\n");
    };
    for (name, value) in &headers {
        add(name.as_str(), value.as_bytes());
    }
    add("cache-control", b"no-store");
    add(X_REQUEST_ID.as_str(), request_id.as_bytes());
    add("connection", b"close");
    add("content-length", body.len().to_string().as_bytes());
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::fresh;

    const HYPERS: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                          date: Mon, 23 Nov 2026 16:11:19 GMT\r\n\r\n";

    #[test]
    fn replaces_hypers_own_answers() {
        for (status, code) in
            [("400", "malformed_request"), ("414", "uri_too_long"), ("431", "headers_too_large")]
        {
            let hypers = HYPERS.replace("400", status);
            let meant = meant_by(hypers.as_bytes(), None).unwrap();
            let ours = head_and_body(&meant, &fresh());
            let ours = String::from_utf8(ours).unwrap();
            assert!(ours.starts_with(&format!("HTTP/1.1 {status} ")), "{ours}");
            assert!(ours.contains("\r\nx-request-id: "), "{ours}");
            assert!(ours.contains("\r\ncache-control: no-store\r\n"), "{ours}");
            assert!(ours.contains(&format!("\"code\":\"{code}\"")), "{ours}");
        }
    }

    #[test]
    fn says_what_hyper_was_made_to_answer_for() {
        let refusal = Problem::new(Code::HeadTimeout, "the head took too long to arrive");
        assert_eq!(meant_by(HYPERS.as_bytes(), Some(&refusal)), Some(refusal));
    }

    #[test]
    fn what_is_longer_than_any_of_hypers_is_not_even_read() {
        let of_length = |length: usize| {
            let filler = "x".repeat(length - HYPERS.len() - "a: \r\n".len());
            HYPERS.replacen("\r\n", &format!("\r\na: {filler}\r\n"), 1)
        };
        for (length, is_replaced) in [(MOST, true), (MOST + 1, false), (1 << 20, false)] {
            let written = of_length(length);
            assert_eq!(written.len(), length);
            assert_eq!(meant_by(written.as_bytes(), None).is_some(), is_replaced, "{length}");
        }
    }

    #[test]
    fn leaves_everything_else_alone() {
        let others = [
            "",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400",
        ];
        for other in others {
            assert_eq!(meant_by(other.as_bytes(), None), None, "{other}");
        }
    }
}
