//! `GET /admin/keys`: lists the keys with their live counters, never their values.

use http::StatusCode;
use keypool_engine::{FeatureUsage, KeyView};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{Ordered, metadata};
use crate::input::Input;
use crate::reply::{Answer, Reply};
use crate::times::{ToTheMillisecond, ToTheSecond};

#[derive(Serialize)]
struct Key<'a, U: Serialize> {
    id: &'a str,
    name: &'a str,
    tier_id: &'a str,
    tier: &'a str,
    is_active: bool,
    expires_at: Option<ToTheSecond>,
    usage_limit: Option<i64>,
    usage_count: u64,
    usage_window_seconds: Option<i64>,
    usage_resets_at: Option<ToTheMillisecond>,
    metadata: &'a RawValue,
    secret_names: Vec<&'a str>,
    usage: U,
    created_at: ToTheMillisecond,
}

#[derive(Serialize)]
struct Usage {
    used: u64,
    limit: i64,
    window_seconds: i64,
}

/// Lists the keys, in order of creation.
pub(crate) async fn list_keys(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [] = input.query([])?;
    app.engine.confirm_recent().await?;
    let keys = app.engine.keys().await;
    Ok(Reply::array(StatusCode::OK, &keys, shape).await)
}

fn shape(key: &KeyView) -> Key<'_, impl Serialize> {
    let usage = |of: &FeatureUsage| Usage {
        used: of.used,
        limit: of.limit,
        window_seconds: of.window_seconds,
    };
    Key {
        id: &key.id,
        name: &key.name,
        tier_id: &key.tier_id,
        tier: &key.tier,
        is_active: key.is_active,
        expires_at: key.expires_at.map(ToTheSecond),
        usage_limit: key.usage_limit,
        usage_count: key.usage_count,
        usage_window_seconds: key.usage_window_seconds,
        usage_resets_at: key.usage_resets_at.map(ToTheMillisecond),
        metadata: metadata(&key.metadata),
        secret_names: key.secret_names.iter().map(|name| &**name).collect(),
        usage: Ordered(key.usage.iter().map(move |of| (&*of.feature, usage(of)))),
        created_at: ToTheMillisecond(key.created_at),
    }
}
