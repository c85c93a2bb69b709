//! `DELETE /admin/consumers/{id}/scopes/{tier}`: a consumer may draw from a tier no longer.

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{Status, refused};
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Revokes the scope; the tier goes by its name or its id.
pub(crate) async fn remove_scope(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [consumer, tier] = input.path()?;
    let [] = input.query([])?;
    match app.engine.remove_scope(&input.origin(), &consumer, &tier).await {
        Ok(()) => Ok(Reply::ok(&Status { status: "deleted" })),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
