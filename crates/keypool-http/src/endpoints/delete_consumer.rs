//! `DELETE /admin/consumers/{id}`: removes a consumer and its scopes; its usage events stay.

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{Status, refused};
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Removes the consumer; its token is worth nothing from now on.
pub(crate) async fn delete_consumer(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    match app.engine.delete_consumer(&input.origin(), &id).await {
        Ok(()) => Ok(Reply::ok(&Status { status: "deleted" })),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
