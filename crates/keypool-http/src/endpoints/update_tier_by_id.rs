//! `PATCH /admin/tiers/{id}`: changes the tier of that id, its name too; holds for the keys in it at once.

use keypool_engine::TierPatch;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::add_tier::read_features;
use crate::endpoints::{list_tiers, refused};
use crate::input::Input;
use crate::members::Field;
use crate::patch::read_patch;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

/// Replaces what is given; features are replaced as a whole.
pub(crate) async fn update_tier_by_id(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [id] = input.path()?;
    let [] = input.query([])?;
    let patch = read(input.body.as_slice())?;
    match app.engine.update_tier_by_id(&input.origin(), &id, patch).await {
        Ok(tier) => Ok(Reply::ok(&list_tiers::shape(&tier))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

fn read(body: &[u8]) -> Result<TierPatch, Problem> {
    let members = read_patch(body, &["name", "description", "features"])?;
    Ok(TierPatch {
        name: members.replaced("name", Field::text)?,
        description: members.replaced("description", Field::text)?,
        features: members.replaced("features", read_features)?,
    })
}
