//! `GET /admin/tiers`: lists the tiers, by name.

use http::StatusCode;
use keypool_engine::{FeatureView, TierView};
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::Ordered;
use crate::input::Input;
use crate::reply::{Answer, Reply};

/// A tier as the API shows it.
#[derive(Serialize)]
pub(super) struct Tier<'a, F: Serialize> {
    id: &'a str,
    name: &'a str,
    description: &'a str,
    features: F,
}

#[derive(Serialize)]
struct RateLimit {
    rate_limit: i64,
    window_seconds: i64,
}

/// Lists the tiers.
pub(crate) async fn list_tiers(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    app.engine.confirm_recent().await?;
    let tiers = app.engine.tiers();
    Ok(Reply::array(StatusCode::OK, &tiers, shape).await)
}

/// The shape of a tier.
pub(super) fn shape(tier: &TierView) -> Tier<'_, impl Serialize> {
    let limit = |feature: &FeatureView| RateLimit {
        rate_limit: feature.rate_limit,
        window_seconds: feature.window_seconds,
    };
    Tier {
        id: &tier.id,
        name: &tier.name,
        description: &tier.description,
        features: Ordered(
            tier.features.iter().map(move |feature| (&*feature.name, limit(feature))),
        ),
    }
}
