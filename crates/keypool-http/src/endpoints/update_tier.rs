//! `PATCH /admin/tiers`: changes the tier of that name; holds for the keys in it at once.

use keypool_engine::TierPatch;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::add_tier::read_features;
use crate::endpoints::{list_tiers, refused};
use crate::input::Input;
use crate::members::{Members, read_object};
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

/// Replaces what is given; features are replaced as a whole.
pub(crate) async fn update_tier(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    let members = read_object(input.body.as_slice(), &["name", "description", "features"])?;
    let name = members.required("name")?.text()?;
    // The name says which tier, and stays.
    let patch = TierPatch { name: None, ..read_patch(&members)? };
    match app.engine.update_tier(&input.origin(), &name, patch).await {
        Ok(tier) => Ok(Reply::ok(&list_tiers::shape(&tier))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

/// Reads `{name?, description?, features?}`.
pub(super) fn read_patch(members: &Members<'_>) -> Result<TierPatch, Problem> {
    Ok(TierPatch {
        name: members.optional("name").map(|field| field.text()).transpose()?,
        description: members.optional("description").map(|field| field.text()).transpose()?,
        features: members.optional("features").map(|field| read_features(&field)).transpose()?,
    })
}
