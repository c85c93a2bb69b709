//! Why a stream is not to be had, and how that is answered.

use hyper::StatusCode;

use crate::reply::{Answer, write_error};
use crate::sql_error::SqlError;

/// A request gets no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many streams are open as may be.
    TooManyStreams,
    /// The stream was idle for too long.
    StreamExpired,
    /// No stream was ever given this baton, or it was closed.
    InvalidBaton,
    /// The baton was used before: each is good for one request.
    ReusedBaton,
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::TooManyStreams => return too_many_streams(),
            Refusal::StreamExpired => {
                ("STREAM_EXPIRED", "The stream has expired due to inactivity")
            }
            Refusal::InvalidBaton => ("STREAM_BATON_INVALID", "Received an invalid baton"),
            Refusal::ReusedBaton => {
                ("STREAM_BATON_REUSED", "Received a baton that has already been used")
            }
        };
        let mut body = Vec::new();
        write_error(&mut body, &SqlError::new(code, message));
        Answer::json(StatusCode::BAD_REQUEST, body)
    }
}

/// The answer where too many streams are open: 429 with a plain text.
pub(crate) fn too_many_streams() -> Answer {
    Answer::text(StatusCode::TOO_MANY_REQUESTS, "too many open streams")
}
