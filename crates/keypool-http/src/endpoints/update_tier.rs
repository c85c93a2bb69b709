//! `PATCH /admin/tiers`: changes the tier of that name; holds for the keys in it at once.

use keypool_engine::TierPatch;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::add_tier::read_features;
use crate::endpoints::{list_tiers, refused};
use crate::input::Input;
use crate::members::read_object;
use crate::reply::{Answer, Reply};

/// Replaces what is given; features are replaced as a whole. As in the Go program, `null` counts as absent, and nothing need
/// be given.
pub(crate) async fn update_tier(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    let members = read_object(input.body.as_slice(), &["name", "description", "features"])?;
    let name = members.required("name")?.text()?;
    let patch = TierPatch {
        // It says which tier, and stays.
        name: None,
        description: members.optional("description").map(|field| field.text()).transpose()?,
        features: members.optional("features").map(|field| read_features(&field)).transpose()?,
    };
    match app.engine.update_tier(&input.origin(), &name, patch).await {
        Ok(tier) => Ok(Reply::ok(&list_tiers::shape(&tier))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}
