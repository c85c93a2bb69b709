//! `GET /admin/health`: the state of the pool as a whole.

use keypool_engine::FeatureCounts;
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::Ordered;
use crate::input::Input;
use crate::reply::{Answer, Reply};
use crate::times::ToTheMillisecond;

#[derive(Serialize)]
struct PoolHealth<'a, Features: Serialize> {
    pool_size: u64,
    encryption: bool,
    features: Features,
    driver: &'static str,
    schema_version: i64,
    uptime_seconds: u64,
    /// When this server committed last; none before the first time.
    last_commit_at: Option<ToTheMillisecond>,
    /// Ids of keys whose stored value or secrets can't be opened.
    damaged: Vec<&'a str>,
    /// By how much the wall clock is ahead of the time that the pool goes by, where that is too far to be followed.
    clock_ahead_seconds: Option<u64>,
}

/// How the keys of all tiers that cover a feature stand for it.
#[derive(Serialize)]
struct Feature {
    usable: u64,
    rate_limited: u64,
    budget_spent: u64,
    unusable: u64,
}

/// Shows how many keys there are, how many can be used for each feature, and what is wrong with the pool.
pub(crate) async fn show_pool_health(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    app.engine.confirm_recent().await?;
    let counts = app.engine.counts().await;
    let vitals = app.engine.vitals();
    let features = counts.features();
    Ok(Reply::ok(&PoolHealth {
        pool_size: counts.pool_size(),
        encryption: app.engine.is_encrypting(),
        features: Ordered(features.iter().map(|(name, counts)| (&**name, shape(*counts)))),
        driver: vitals.driver,
        schema_version: vitals.schema_version,
        uptime_seconds: vitals.uptime.as_secs(),
        last_commit_at: vitals.last_commit_at.map(ToTheMillisecond),
        damaged: counts.damaged.iter().map(|id| &**id).collect(),
        clock_ahead_seconds: vitals.clock_ahead.map(|ahead| ahead.as_secs()),
    }))
}

const fn shape(counts: FeatureCounts) -> Feature {
    let FeatureCounts { usable, rate_limited, budget_spent, unusable } = counts;
    Feature { usable, rate_limited, budget_spent, unusable }
}
