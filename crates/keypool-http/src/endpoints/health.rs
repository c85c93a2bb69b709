//! `GET /health`: the process is alive.

use crate::answer::App;
use crate::endpoints::Status;
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Says that the process answers; the query is ignored.
pub(crate) async fn health(_: &App, _: &Input<'_>) -> Answer {
    Ok(Reply::ok(&Status { status: "ok" }))
}
