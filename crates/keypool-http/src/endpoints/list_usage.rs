//! `GET /admin/usage`: lists usage events, newest first, page by page.

use http::StatusCode;
use keypool_engine::{DrawId, UsageQuery, UsageView};
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::read_moment;
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

/// Which events, and the filters as they were given, for the address of the next page.
struct Asked {
    query: UsageQuery,
    filters: [(&'static str, Option<String>); 5],
}

/// Lists at most `limit` events that meet every filter, older than `before`. An id or a name that nothing bears is met by
/// no event.
pub(crate) async fn list_usage(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let Asked { query, filters } = read(input)?;
    // One more than is shown tells whether there is a next page.
    let one_more = UsageQuery { limit: query.limit.saturating_add(1), ..query.clone() };
    let found = app.engine.usage(one_more).await?;
    let (events, has_more) = page::split(&found, query.limit);
    let reply = Reply::array(StatusCode::OK, events, shape).await;
    match events.last() {
        Some(last) if has_more => {
            Ok(reply.with_next_page(&next_page(query.limit, &filters, last.draw_id)))
        }
        _ => Ok(reply),
    }
}

fn read(input: &Input<'_>) -> Result<Asked, Problem> {
    let [limit, key, consumer, feature, since, until, before] =
        input.query(["limit", "key", "consumer", "feature", "since", "until", "before"])?;
    let limit = page::limit(limit.as_deref())?;
    let before = before.map(|before| before.parse()).transpose();
    let before = before.map_err(|_| Problem::field("before", "must be a draw_id"))?;
    let query = UsageQuery {
        limit,
        since: read_moment("since", since.as_deref())?,
        until: read_moment("until", until.as_deref())?,
        key: key.clone(),
        consumer: consumer.clone(),
        feature: feature.clone(),
        before,
    };
    let filters = [
        ("key", key),
        ("consumer", consumer),
        ("feature", feature),
        ("since", since),
        ("until", until),
    ];
    Ok(Asked { query, filters })
}

/// The address of the page after an event, with the same filters.
fn next_page(limit: u32, filters: &[(&str, Option<String>)], last: DrawId) -> String {
    let given = filters.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let filters: String =
        given.map(|(name, value)| format!("&{name}={}", percent::encode(value))).collect();
    format!("/admin/usage?limit={limit}{filters}&before={last}")
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
