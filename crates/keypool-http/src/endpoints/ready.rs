//! `GET /ready`: draws can be recorded.

use keypool_engine::Unavailable;

use crate::answer::App;
use crate::endpoints::Status;
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Says whether the database takes commits and the server is not about to end.
pub(crate) async fn ready(app: &App, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    if app.is_draining() {
        return Err(Unavailable::Closing.into());
    }
    app.engine.ready().await?;
    Ok(Reply::ok(&Status { status: "ready" }))
}
