//! Searches and summaries against a plain look at all events, with pieces of every size: no event is left out between
//! two of them, and none is met twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::scans::{Looks, Scans};
use super::summary::{GroupBy, Summary, SummaryQuery, SummaryRow, summarise};
use super::*;
use crate::driver::Statement;
use crate::{ChangeRecord, Origin, PruneBatch, SqliteSettings, Store, Synchronous, inspect};

/// Days begin at multiples of it.
const DAY_MS: i64 = 86_400_000;
/// A midnight.
const START: i64 = 20_000 * DAY_MS;
const EVENTS: i64 = 150;

/// An event, and how it is named: all of it follows from its number.
#[derive(Clone, Debug)]
struct Event {
    id: i64,
    key: i64,
    consumer: i64,
    feature: i64,
}

impl Event {
    fn at(&self) -> Timestamp {
        GrantId::new(self.id).at()
    }
}

/// Half an hour apart, by three keys, two consumers and the admin for two features, as good as at random.
fn events() -> Vec<Event> {
    let event = |n: i64| {
        let chance = (n * 7_919 + 13) % 104_729;
        let id = (START + n * DAY_MS / 48) << 21;
        Event { id, key: 1 + chance % 3, consumer: chance / 3 % 3, feature: 1 + chance / 9 % 2 }
    };
    (0..EVENTS).map(event).collect()
}

fn consumer_id(consumer: i64) -> String {
    if consumer == 0 { "admin".to_owned() } else { format!("consumer-{consumer}") }
}

async fn filled() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("pool.db"),
        synchronous: Synchronous::Normal,
        busy_timeout: Duration::from_secs(5),
    };
    let store = inspect(settings).await.unwrap().open().await.unwrap();
    let rows: Vec<_> =
        events().iter().map(|event| [event.id, event.key, event.consumer, event.feature]).collect();
    let rows = serde_json::to_string(&rows).unwrap();
    let numbers = "json_each('[1,2,3]')";
    let texts = [
        "INSERT INTO features (feature_no, name) VALUES (1, 'feature-1'), (2, 'feature-2'), (3, 'idle')".to_owned(),
        "INSERT INTO tiers (tier_no, tier_uuid, name, description, created_ms) VALUES (1, 't', 't', '', 0)".to_owned(),
        format!(
            "INSERT INTO keys (key_no, key_uuid, name, tier_no, key_value, is_active, metadata, created_ms)
            SELECT value, 'key-' || value, 'same', 1, '', 1, '{{}}', 0 FROM {numbers}"
        ),
        format!(
            "INSERT INTO consumers (consumer_no, consumer_uuid, name, description, token_digest, is_active, created_ms)
            SELECT value, 'consumer-' || value, 'name-' || value, '', '', 1, 0 FROM {numbers}"
        ),
        "INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
        SELECT id, key_no, consumer_no, feature_no, lag(id) OVER (PARTITION BY key_no ORDER BY id)
        FROM (SELECT value ->> 0 AS id, value ->> 1 AS key_no, value ->> 2 AS consumer_no, value ->> 3 AS feature_no
            FROM json_each(?1))"
            .to_owned(),
        format!(
            "INSERT INTO budget_counters (key_no, used, opening, opening_after, newest_event)
            SELECT value, 0, 0, 0, (SELECT max(id) FROM usage_events WHERE key_no = value) FROM {numbers}"
        ),
    ];
    for text in texts {
        let takes_rows = text.contains("?1");
        let statement = Statement::new(text);
        let statement = if takes_rows { statement.with(rows.as_str()) } else { statement };
        store.driver.write(vec![statement]).await.unwrap();
    }
    (folder, store)
}

/// Pieces of all sizes.
fn all_looks() -> [Scans; 4] {
    [(1, 1), (2, 7), (10, 49), (1_000, 1_000)]
        .map(|(first, further)| Scans::with(Looks { first, further, walk: further }))
}

fn times() -> [(Option<Timestamp>, Option<Timestamp>); 4] {
    let at = |hours: i64| Some(Timestamp::from_millis(START + hours * 3_600_000));
    [(None, None), (at(11), None), (at(10), at(50)), (at(20), at(20))]
}

#[tokio::test]
async fn finds_what_meets_all_that_is_asked_for_in_pieces_of_any_size() {
    let (_folder, store) = filled().await;
    let mut queries = Vec::new();
    for key in [None, Some("key-2"), Some("nobody")] {
        for consumer in
            [None, Some("admin"), Some("consumer-1"), Some("consumer-3"), Some("nobody")]
        {
            for feature in [None, Some("feature-2"), Some("idle"), Some("none")] {
                for ((since, until), limit) in times().into_iter().zip([1, 3, 200, 5]) {
                    for before in [None, Some(GrantId::new((START + DAY_MS) << 21))] {
                        let text = |text: Option<&str>| text.map(str::to_owned);
                        let (key, consumer, feature) = (text(key), text(consumer), text(feature));
                        queries.push(UsageQuery {
                            limit,
                            key,
                            consumer,
                            feature,
                            since,
                            until,
                            before,
                        });
                    }
                }
            }
        }
    }
    // The smallest pieces are left to the summary: so many searches would take their time.
    for scans in all_looks().into_iter().skip(1) {
        for query in &queries {
            let is_wanted = |event: &&Event| {
                query.key.as_ref().is_none_or(|key| *key == format!("key-{}", event.key))
                    && query.consumer.as_ref().is_none_or(|id| *id == consumer_id(event.consumer))
                    && query
                        .feature
                        .as_ref()
                        .is_none_or(|name| *name == format!("feature-{}", event.feature))
                    && query.since.is_none_or(|since| event.at() >= since)
                    && query.until.is_none_or(|until| event.at() < until)
                    && query.before.is_none_or(|before| event.id < before.get())
            };
            let all = events();
            let wanted: Vec<i64> = all
                .iter()
                .rev()
                .filter(is_wanted)
                .map(|event| event.id)
                .take(query.limit as usize)
                .collect();
            let found = list_usage(&store.driver, &scans, query).await.unwrap();
            let found: Vec<i64> = found.iter().map(|row| row.id.get()).collect();
            assert_eq!(found, wanted, "{query:?} {:?}", scans.looks);
        }
    }
}

/// Groups as texts, in order.
fn texts(by: &[GroupBy], rows: &[SummaryRow]) -> Vec<(String, i64)> {
    let text = |row: &SummaryRow, by: &GroupBy| match by {
        GroupBy::Key => row.key.as_ref().unwrap().id.clone(),
        GroupBy::Consumer => row.consumer.as_ref().unwrap().id.clone(),
        GroupBy::Feature => row.feature.clone().unwrap(),
        GroupBy::Day => format!("{:06}", row.day.unwrap().as_millis() / DAY_MS),
    };
    rows.iter().map(|row| (by.iter().map(|by| text(row, by) + " ").collect(), row.grants)).collect()
}

#[tokio::test]
async fn counts_by_any_columns_in_any_order_in_pieces_of_any_size() {
    let (_folder, store) = filled().await;
    use GroupBy::{Consumer, Day, Feature, Key};
    let combinations: [&[GroupBy]; 8] = [
        &[],
        &[Key],
        &[Consumer],
        &[Feature],
        &[Day],
        &[Day, Key],
        &[Feature, Consumer],
        &[Key, Consumer, Feature, Day],
    ];
    for scans in all_looks() {
        for ((since, until), by) in
            times().into_iter().flat_map(|times| combinations.map(|by| (times, by)))
        {
            let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
            if by.is_empty() {
                wanted.insert(String::new(), 0);
            }
            for event in events() {
                let is_meant = since.is_none_or(|since| event.at() >= since)
                    && until.is_none_or(|until| event.at() < until);
                let text = |by: &GroupBy| match by {
                    Key => format!("key-{} ", event.key),
                    Consumer => format!("{} ", consumer_id(event.consumer)),
                    Feature => format!("feature-{} ", event.feature),
                    Day => format!("{:06} ", event.at().as_millis() / DAY_MS),
                };
                if is_meant {
                    *wanted.entry(by.iter().map(text).collect()).or_default() += 1;
                }
            }
            let query = SummaryQuery { by: by.to_vec(), since, until };
            let Summary::Groups(rows) = summarise(&store.driver, &scans, &query).await.unwrap()
            else {
                panic!("they are few");
            };
            let wanted: Vec<_> = wanted.into_iter().collect();
            assert_eq!(texts(by, &rows), wanted, "{query:?} {:?}", scans.looks);
        }
    }
}

async fn groups(store: &Store, scans: &Scans, query: &SummaryQuery) -> Vec<(String, i64)> {
    match summarise(&store.driver, scans, query).await.unwrap() {
        Summary::Groups(rows) => texts(&query.by, &rows),
        other @ (Summary::TooMany(_) | Summary::CutsPruned { .. }) => panic!("{other:?}"),
    }
}

/// Prunes so many events, if there are as many.
async fn prune(store: &Store, events: u32) {
    let before = Timestamp::from_millis(START + 3 * DAY_MS);
    let oldest = store.oldest_usage(before, events).await.unwrap();
    let Some(last) = oldest.last() else { return };
    let record = ChangeRecord {
        what: "prune_usage",
        id_of: Arc::from(""),
        name: Arc::from(""),
        before: None,
        after: None,
    };
    let batch = PruneBatch {
        base: store.revision().await.unwrap(),
        origin: Origin::command("prune"),
        record,
        before,
        begun: before,
        last: last.id,
        events: oldest.len(),
    };
    store.prune(&batch).await.unwrap();
}

#[tokio::test]
async fn what_was_pruned_or_is_being_pruned_counts_as_before() {
    let days = |days: i64| Some(Timestamp::from_millis(START + days * DAY_MS));
    let times = [(None, None), (days(1), None), (days(1), days(2)), (None, days(2))];
    for scans in all_looks() {
        let (_folder, store) = filled().await;
        let query = |by: &[GroupBy], (since, until)| SummaryQuery { by: by.to_vec(), since, until };
        let queries: Vec<SummaryQuery> = times
            .into_iter()
            .flat_map(|times| [query(&[], times), query(&[GroupBy::Day, GroupBy::Key], times)])
            .collect();
        let mut expected = Vec::new();
        for query in &queries {
            expected.push(groups(&store, &scans, query).await);
        }
        for some in [3, 1, 40, 2, 5, 100, 1, 7] {
            for (query, expected) in queries.iter().zip(&expected) {
                let (found, ()) = tokio::join!(groups(&store, &scans, query), prune(&store, some));
                assert_eq!(found, *expected, "{query:?} {:?}", scans.looks);
            }
        }
        assert_eq!(store.prunable(days(3).unwrap()).await.unwrap().events, 0);
    }
}

#[tokio::test]
async fn a_time_that_begins_or_ends_within_a_pruned_day_is_refused_and_no_other() {
    let (_folder, store) = filled().await;
    // The first day, and a part of the second.
    prune(&store, 50).await;
    let hours = |hours: i64| Some(Timestamp::from_millis(START + hours * 3_600_000));
    let last_moment = Some(Timestamp::from_millis(START + DAY_MS - 1));
    let cases = [
        (None, hours(1), Err(("until", 0))),
        (hours(1), hours(24), Err(("since", 0))),
        (hours(1), hours(25), Err(("since", 0))),
        (last_moment, None, Err(("since", 0))),
        (hours(0), last_moment, Err(("until", 0))),
        (hours(0), hours(47), Err(("until", 1))),
        (hours(25), hours(60), Err(("since", 1))),
        (hours(24), hours(72), Ok(96)),
        (hours(0), hours(24), Ok(48)),
        (hours(24), hours(60), Ok(72)),
        (hours(60), None, Ok(30)),
        (hours(60), hours(61), Ok(2)),
        // Nothing happened on the day before, which is known.
        (hours(-1), hours(24), Ok(48)),
        (Some(Timestamp::from_millis(i64::MIN)), Some(Timestamp::from_millis(i64::MAX)), Ok(150)),
    ];
    let groupings: [&[GroupBy]; 3] = [&[], &[GroupBy::Day], &[GroupBy::Key, GroupBy::Feature]];
    for by in groupings {
        for (since, until, expected) in cases {
            let query = SummaryQuery { by: by.to_vec(), since, until };
            let found = match summarise(&store.driver, &Scans::new(), &query).await.unwrap() {
                Summary::Groups(rows) => Ok(rows.iter().map(|row| row.grants).sum::<i64>()),
                Summary::CutsPruned { field, day } => {
                    Err((field, (day.as_millis() - START) / DAY_MS))
                }
                Summary::TooMany(_) => panic!("they are few"),
            };
            assert_eq!(found, expected, "{query:?}");
        }
    }
}

#[test]
fn moments_become_the_first_ids_that_they_may_have() {
    let at = |millis| Some(Timestamp::from_millis(millis));
    let last = GrantId::LAST_AT.as_millis();
    assert_eq!(ids_between(None, None), (0, i64::MAX));
    assert_eq!(ids_between(at(-5), at(0)), (0, 0));
    assert_eq!(ids_between(at(3), at(4)), (3 << 21, 4 << 21));
    assert_eq!(ids_between(at(last), at(last + 1)), (last << 21, i64::MAX));
    assert_eq!(ids_between(at(i64::MIN), at(i64::MAX)), (0, i64::MAX));
}
