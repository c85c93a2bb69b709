//! `GET /admin/usage/summary`: how many grants there were, by key, consumer, feature and day.

use http::StatusCode;
use keypool_engine::{GroupBy, Named, SummaryQuery, SummaryRow};
use serde::Serialize;

use crate::answer::App;
use crate::auth::Admin;
use crate::endpoints::read_moment;
use crate::input::Input;
use crate::problem::Problem;
use crate::reply::{Answer, Reply};
use crate::times::ToTheDay;

/// What can be grouped by, as callers name it.
const GROUPS: [(&str, GroupBy); 4] = [
    ("key", GroupBy::Key),
    ("consumer", GroupBy::Consumer),
    ("feature", GroupBy::Feature),
    ("day", GroupBy::Day),
];

/// Has what was grouped by.
#[derive(Serialize)]
struct Group<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<ToTheDay>,
    grants: i64,
}

/// Counts the grants from `since` on and before `until`, grouped by what is named in `by`; without it, all in one.
pub(crate) async fn summarise_usage(app: &App, _: Admin, input: &Input<'_>) -> Answer {
    let [by, since, until] = input.query(["by", "since", "until"])?;
    let query = SummaryQuery {
        by: by.map_or(Ok(Vec::new()), |by| read_groups(&by))?,
        since: read_moment("since", since.as_deref())?,
        until: read_moment("until", until.as_deref())?,
    };
    let groups = app.engine.usage_summary(&query).await?;
    Ok(Reply::array(StatusCode::OK, &groups, shape).await)
}

fn read_groups(by: &str) -> Result<Vec<GroupBy>, Problem> {
    let mut groups = Vec::new();
    for name in by.split(',') {
        let known = GROUPS.iter().find(|(known, _)| *known == name).map(|(_, group)| *group);
        let group = known.filter(|group| !groups.contains(group)).ok_or_else(|| {
            Problem::field(
                "by",
                "must be some of key, consumer, feature, day, with commas between, each once",
            )
        })?;
        groups.push(group);
    }
    Ok(groups)
}

fn shape(row: &SummaryRow) -> Group<'_> {
    Group {
        key_id: row.key.as_ref().map(id),
        key_name: row.key.as_ref().map(name),
        consumer_id: row.consumer.as_ref().map(id),
        consumer_name: row.consumer.as_ref().map(name),
        feature: row.feature.as_deref(),
        day: row.day.map(ToTheDay),
        grants: row.grants,
    }
}

fn id(named: &Named) -> &str {
    &named.id
}

fn name(named: &Named) -> &str {
    &named.name
}
