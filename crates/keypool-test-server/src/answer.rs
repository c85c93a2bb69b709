//! One HTTP request: where it goes, who may ask, and what goes wrong on its way.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::core::Core;
use crate::plan::Plan;
use crate::reply::Answer;

/// What acts on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Pipeline,
    Cursor,
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(crate) struct HungUp;

/// Answers a request, or hangs up where that is the fault.
pub(crate) async fn answer(
    core: Arc<Core>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, HungUp> {
    core.counts.count_request();
    let endpoint = match (request.method(), request.uri().path()) {
        (&Method::POST, "/v3/pipeline") => Endpoint::Pipeline,
        (&Method::POST, "/v3/cursor") => Endpoint::Cursor,
        (&Method::GET, "/health" | "/v2" | "/v3") => {
            return Ok(respond(Answer::text(StatusCode::OK, "")));
        }
        _ => return Ok(respond(Answer::text(StatusCode::NOT_FOUND, "no such page"))),
    };
    let may_ask = is_admitted(core.settings.token.as_deref(), request.headers());
    let body = request.into_body().collect().await.map_err(|_| HungUp)?.to_bytes();
    if !may_ask {
        return Ok(respond(unauthorized()));
    }
    let plan = core.faults.strike(&body);
    let half = core.faults.latency() / 2;
    if !half.is_zero() {
        sleep(half).await;
    }
    let answer = match plan.is_empty() {
        true => core.act(endpoint, body).await,
        false => carry_out(core, plan, endpoint, body).await,
    }
    .ok_or(HungUp)?;
    if !half.is_zero() {
        sleep(half).await;
    }
    Ok(respond(answer))
}

/// Lets a request go wrong in a task of its own, so that it does even where the client has left.
async fn carry_out(core: Arc<Core>, plan: Plan, endpoint: Endpoint, body: Bytes) -> Option<Answer> {
    let (tell, told) = oneshot::channel();
    let acting = Arc::clone(&core);
    core.in_background(async move {
        // The client may have left.
        let _ = tell.send(plan.carry_out(acting, endpoint, body).await);
    });
    told.await.ok().flatten()
}

fn is_admitted(token: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return true };
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    shown.and_then(|shown| shown.strip_prefix("Bearer ")) == Some(token)
}

fn unauthorized() -> Answer {
    let body = br#"{"message":"Authentication failed","code":"AUTH_FAILED"}"#;
    Answer::json(StatusCode::UNAUTHORIZED, body.to_vec())
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    response
}
