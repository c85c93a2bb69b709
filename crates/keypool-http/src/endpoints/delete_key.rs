//! `DELETE /admin/keys/{id}`: removes a key and its secrets; its usage events stay.

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{Status, refused};
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Removes the key; no later draw sees it.
pub(crate) async fn delete_key(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    match app.engine.delete_key(&input.origin(), &id).await {
        Ok(()) => Ok(Reply::ok(&Status { status: "deleted" })),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
