//! `GET /admin/keys/{id}`: shows one key, as the list does.

use keypool_engine::AdminError;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::list_keys;
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// Shows the key.
pub(crate) async fn show_key(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    app.engine.confirm_recent().await?;
    if let Some(key) = app.engine.key(&id) {
        return Ok(Reply::ok(&list_keys::shape(&key)));
    }
    // What memory does not have may have been added elsewhere just now.
    app.engine.confirm_current().await?;
    match app.engine.key(&id) {
        Some(key) => Ok(Reply::ok(&list_keys::shape(&key))),
        None => Err(AdminError::Unknown { what: "key", name: id }.into()),
    }
}
