//! `PATCH /admin/tiers/{id}`: changes the tier of that id, its name too; holds for the keys in it at once.

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::update_tier::read_patch;
use crate::endpoints::{list_tiers, refused};
use crate::input::Input;
use crate::members::read_object;
use crate::reply::{Answer, Reply};

/// Replaces what is given; features are replaced as a whole.
pub(crate) async fn update_tier_by_id(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    let patch =
        read_patch(&read_object(input.body.as_slice(), &["name", "description", "features"])?)?;
    match app.engine.update_tier_by_id(&input.origin(), &id, patch).await {
        Ok(tier) => Ok(Reply::ok(&list_tiers::shape(&tier))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
