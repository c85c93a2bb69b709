//! `GET /admin/health`: the state of the pool as a whole.

use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::input::Input;
use crate::reply::{Answer, Reply};

#[derive(Serialize)]
struct PoolHealth<'a> {
    pool_size: usize,
    encryption: bool,
    /// Ids of keys whose stored value or secrets can't be opened.
    damaged: Vec<&'a str>,
    /// By how much the wall clock is ahead of the time that the pool goes by, where that is too far to be followed.
    clock_ahead_seconds: Option<u64>,
}

/// Shows how many keys there are, and what is wrong with the pool.
pub(crate) async fn show_pool_health(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    app.engine.confirm_recent().await?;
    let health = app.engine.health();
    Ok(Reply::ok(&PoolHealth {
        pool_size: health.pool_size,
        encryption: health.encryption,
        damaged: health.damaged.iter().map(|id| &**id).collect(),
        clock_ahead_seconds: health.clock_ahead.map(|ahead| ahead.as_secs()),
    }))
}
