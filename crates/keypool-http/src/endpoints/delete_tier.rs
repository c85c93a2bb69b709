//! `DELETE /admin/tiers/{id}`: removes a tier that holds no key, and the scopes on it; usage events stay.

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{Status, refused};
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Removes the tier; its name is free again.
pub(crate) async fn delete_tier(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    match app.engine.delete_tier(&input.origin(), &id).await {
        Ok(()) => Ok(Reply::ok(&Status { status: "deleted" })),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
