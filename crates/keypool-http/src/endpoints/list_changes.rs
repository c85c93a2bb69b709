//! `GET /admin/changes`: lists what admins changed, newest first, page by page.

use http::StatusCode;
use keypool_engine::{ChangeView, ChangesQuery};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::App;
use crate::auth::Admin;
use crate::input::Input;
use crate::page;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};
use crate::times::ToTheMillisecond;

#[derive(Serialize)]
struct Change<'a> {
    id: String,
    at: ToTheMillisecond,
    what: &'a str,
    id_of: &'a str,
    name: &'a str,
    from: Option<&'a str>,
    request_id: Option<&'a str>,
    before: Option<&'a RawValue>,
    after: Option<&'a RawValue>,
}

/// Lists at most `limit` records, older than `before`.
pub(crate) async fn list_changes(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let query = read(input)?;
    // One more than is shown tells whether there is a next page.
    let one_more = ChangesQuery { limit: query.limit.saturating_add(1), ..query };
    let found = app.engine.changes(one_more).await?;
    let (changes, has_more) = page::split(&found, query.limit);
    let reply = Reply::array(StatusCode::OK, changes, shape).await;
    match changes.last() {
        Some(last) if has_more => {
            let next = format!("/admin/changes?limit={}&before={}", query.limit, last.id);
            Ok(reply.with_next_page(&next))
        }
        _ => Ok(reply),
    }
}

fn read(input: &Input<'_>) -> Result<ChangesQuery, Problem> {
    let [limit, before] = input.query(["limit", "before"])?;
    let limit = page::limit(limit.as_deref())?;
    let before = before.map(|before| before.parse()).transpose();
    let before = before.map_err(|_| Problem::field("before", "must be the id of a change"))?;
    Ok(ChangesQuery { limit, before })
}

fn shape(change: &ChangeView) -> Change<'_> {
    Change {
        id: change.id.to_string(),
        at: ToTheMillisecond(change.at),
        what: &change.what,
        id_of: &change.id_of,
        name: &change.name,
        from: change.from.as_deref(),
        request_id: change.request_id.as_deref(),
        before: change.before.as_deref().and_then(json),
        after: change.after.as_deref().and_then(json),
    }
}

fn json(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}
