//! `GET /openapi.json`: this API, described for programs.

use bytes::Bytes;
use http::StatusCode;

use crate::answer::App;
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// OpenAPI 3.1. The tests hold every answer of theirs against it.
const DOCUMENT: &[u8] = include_bytes!("../../openapi.json");

/// Shows the document.
pub(crate) async fn show_openapi(_: &App, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    Ok(Reply::of_bytes(StatusCode::OK, Bytes::from_static(DOCUMENT)))
}
