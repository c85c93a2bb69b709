//! `GET /admin/keys`: lists the keys with their live counters, never their values.

use http::StatusCode;
use keypool_engine::{FeatureUsage, KeyView, KeysQuery};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::{Ordered, metadata};
use crate::input::Input;
use crate::page;
use crate::percent;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};
use crate::times::{ToTheMillisecond, ToTheSecond};

/// A key as the API shows it.
#[derive(Serialize)]
pub(super) struct Key<'a, U: Serialize> {
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

/// Lists the keys, in order of creation: all of them, or those in a `tier` and of a `name`; at most `limit` of them, those
/// `after` another.
pub(crate) async fn list_keys(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let query = read(input)?;
    app.engine.confirm_recent().await?;
    let page = app.engine.key_page(&query).await?;
    let reply = Reply::array(StatusCode::OK, &page.keys, shape).await;
    match page.keys.last() {
        Some(last) if page.has_more => Ok(reply.with_next_page(&next_page(&query, &last.id))),
        _ => Ok(reply),
    }
}

fn read(input: &Input<'_>) -> Result<KeysQuery, Problem> {
    let [tier, name, limit, after] = input.query(["tier", "name", "limit", "after"])?;
    let limit = limit.map(|limit| page::limit(Some(&limit))).transpose()?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(KeysQuery { tier, name, after, limit })
}

fn next_page(query: &KeysQuery, last: &str) -> String {
    let mut address = "/admin/keys?".to_owned();
    let limit = query.limit.map(|limit| limit.to_string());
    for (name, value) in [("tier", &query.tier), ("name", &query.name), ("limit", &limit)] {
        if let Some(value) = value {
            address.extend([name, "=", &percent::encode(value), "&"]);
        }
    }
    address.extend(["after=", &percent::encode(last)]);
    address
}

/// The shape of a key.
pub(super) fn shape(key: &KeyView) -> Key<'_, impl Serialize> {
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
