//! `GET /admin/usage`: lists usage events, newest first, page by page.

use http::StatusCode;
use keypool_engine::{DrawId, UsageQuery, UsageView};
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::input::Input;
use crate::percent;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};
use crate::times::ToTheMillisecond;

const DEFAULT_LIMIT: u32 = 100;
const HIGHEST_LIMIT: u32 = 1000;

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
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (events, further) = found.split_at(most.min(found.len()));
    let reply = Reply::array(StatusCode::OK, events, shape).await;
    match events.last() {
        Some(last) if !further.is_empty() => {
            Ok(reply.with_next_page(&next_page(&query, last.draw_id)))
        }
        _ => Ok(reply),
    }
}

fn read(input: &Input<'_>) -> Result<UsageQuery, Problem> {
    let [limit, key, before] = input.query(["limit", "key", "before"])?;
    let limit = match limit {
        Some(limit) => read_limit(&limit)
            .ok_or_else(|| Problem::field("limit", "must be a whole number, at least 1"))?,
        None => DEFAULT_LIMIT,
    };
    let before = before.map(|before| before.parse()).transpose();
    let before = before.map_err(|_| Problem::field("before", "must be a draw_id"))?;
    Ok(UsageQuery { limit, key, before })
}

fn read_limit(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    let limit = text.parse().unwrap_or(HIGHEST_LIMIT).min(HIGHEST_LIMIT);
    (limit > 0).then_some(limit)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_positive_whole_numbers_and_capped() {
        let cases = [
            ("1", Some(1)),
            ("0100", Some(100)),
            ("1000", Some(1000)),
            ("1001", Some(1000)),
            ("99999999999999999999999", Some(1000)),
            ("0", None),
            ("000", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("ten", None),
            ("", None),
            (" 1", None),
            ("１", None),
        ];
        for (text, limit) in cases {
            assert_eq!(read_limit(text), limit, "{text:?}");
        }
    }
}
