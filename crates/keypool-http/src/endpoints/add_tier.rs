//! `POST /admin/tiers`: creates a tier.

use keypool_engine::{FeatureLimit, NewTier};

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{list_tiers, refused};
use crate::input::Input;
use crate::members::{Field, read_object};
use crate::problem::Problem;
use crate::reply::{Answer, Reply};

/// Creates a tier that covers at least one feature.
pub(crate) async fn add_tier(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    let tier = read(input.body.as_slice())?;
    match app.engine.add_tier(&input.origin(), tier).await {
        Ok(tier) => Ok(Reply::created(&list_tiers::shape(&tier))),
        Err(error) => Err(refused(&app.engine, error).await),
    }
}

fn read(body: &[u8]) -> Result<NewTier, Problem> {
    let members = read_object(body, &["name", "description", "features"])?;
    Ok(NewTier {
        name: members.required("name")?.text()?,
        description: match members.optional("description") {
            Some(description) => description.text()?,
            None => String::new(),
        },
        features: read_features(&members.required("features")?)?,
    })
}

/// Reads `{F: {rate_limit, window_seconds?}}`.
pub(super) fn read_features(field: &Field<'_>) -> Result<Vec<(String, FeatureLimit)>, Problem> {
    field
        .any_object()?
        .fields()
        .map(|feature| Ok((feature.name.clone(), limit(&feature)?)))
        .collect()
}

fn limit(feature: &Field<'_>) -> Result<FeatureLimit, Problem> {
    let members = feature.object(&["rate_limit", "window_seconds"])?;
    Ok(FeatureLimit {
        rate_limit: members.required("rate_limit")?.whole_number()?,
        window_seconds: match members.optional("window_seconds") {
            Some(seconds) => seconds.whole_number()?,
            None => FeatureLimit::DEFAULT_WINDOW_SECONDS,
        },
    })
}
