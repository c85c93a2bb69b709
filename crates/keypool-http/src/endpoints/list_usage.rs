//! `GET /admin/usage`: lists usage events, newest first, page by page.

use http::StatusCode;
use keypool_engine::{DrawId, UsageQuery, UsageView};
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::input::Input;
use crate::page;
use crate::percent;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};
use crate::times::ToTheMillisecond;

#[derive(Serialize)]
struct Event<'a> {
    key_id: &'a str,
    consumer_id: &'a str,
    feature: &'a str,
    created_at: ToTheMillisecond,
    draw_id: String,
    key_name: &'a str,
    consumer_name: &'a str,
}

/// Lists at most `limit` events, of one `key`, older than `before`.
pub(crate) async fn list_usage(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let query = read(input)?;
    // One more than is shown tells whether there is a next page.
    let one_more = UsageQuery { limit: query.limit.saturating_add(1), ..query.clone() };
    let found = app.engine.usage(one_more).await?;
    let (events, has_more) = page::split(&found, query.limit);
    let reply = Reply::array(StatusCode::OK, events, shape).await;
    match events.last() {
        Some(last) if has_more => Ok(reply.with_next_page(&next_page(&query, last.draw_id))),
        _ => Ok(reply),
    }
}

fn read(input: &Input<'_>) -> Result<UsageQuery, Problem> {
    let [limit, key, before] = input.query(["limit", "key", "before"])?;
    let limit = page::limit(limit.as_deref())?;
    let before = before.map(|before| before.parse()).transpose();
    let before = before.map_err(|_| Problem::field("before", "must be a draw_id"))?;
    Ok(UsageQuery { limit, key, before })
}

fn next_page(query: &UsageQuery, last: DrawId) -> String {
    let key = query.key.as_deref().map(|key| format!("&key={}", percent::encode(key)));
    let key = key.unwrap_or_default();
    format!("/admin/usage?limit={}{key}&before={last}", query.limit)
}

fn shape(event: &UsageView) -> Event<'_> {
    Event {
        key_id: &event.key_id,
        consumer_id: &event.consumer_id,
        feature: &event.feature,
        created_at: ToTheMillisecond(event.created_at),
        draw_id: event.draw_id.to_string(),
        key_name: &event.key_name,
        consumer_name: &event.consumer_name,
    }
}
