//! How many grants there were: usage events counted by key, consumer, feature and day, in any combination. Those that were
//! pruned count by the totals of their days: such a day counts whole or not at all, and a time that begins or ends within it
//! is refused.
//!
//! Pieces are counted one after the other, from the oldest event to the newest, and added up here: the database sorts a
//! piece in memory, where all events at once would be sorted on its disk. Pruning takes events from the oldest on. Where it
//! has overtaken the count, that begins anew: a piece begins with an event, and that one is gone.

use std::cmp::Ordering;
use std::sync::LazyLock;

use keypool_core::Timestamp;
use rustc_hash::FxHashMap;

use super::ids_between;
use super::scans::{self, Scans};
use crate::driver::{Driver, DriverError, Row, Statement};
use crate::error::StoreError;

/// The most groups that a summary may come to.
const MOST_GROUPS: usize = 100_000;
/// Numbers whose names are read in one go.
const NAMES_A_READ: usize = 10_000;
const DAY_MS: i64 = 86_400_000;

/// What grants are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The key that was granted.
    Key,
    /// Who drew it.
    Consumer,
    /// What it was drawn for.
    Feature,
    /// The day, in UTC.
    Day,
}

/// Which grants to count, and how to group them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryQuery {
    /// What to group by, each named once; the groups come in the order of the first, then of the second, and so on.
    /// Nothing: one group, of all.
    pub by: Vec<GroupBy>,
    /// Those not before this moment.
    pub since: Option<Timestamp>,
    /// Those before this moment.
    pub until: Option<Timestamp>,
}

/// A key or consumer, be it deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its UUID, or `admin`.
    pub id: String,
}

/// A group of grants; it has what was grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// The key.
    pub key: Option<Named>,
    /// Who drew.
    pub consumer: Option<Named>,
    /// What was asked for.
    pub feature: Option<String>,
    /// The first moment of the day.
    pub day: Option<Timestamp>,
    /// How many they are.
    pub grants: i64,
}

/// What a summary comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// The groups, in order.
    Groups(Vec<SummaryRow>),
    /// More groups than can be answered with: so many at most.
    TooMany(usize),
    /// The time begins or ends within a day of which events were pruned: it can't be told how many of them lie in it.
    CutsPruned {
        /// Which moment does: `since` or `until`.
        field: &'static str,
        /// The first moment of the day.
        day: Timestamp,
    },
}

/// Numbers of the key, consumer and feature, and the day since the epoch; 0 for what is not grouped by.
type Group = [i64; 4];

const COLUMNS: [(GroupBy, &str); 4] = [
    (GroupBy::Key, "key_no"),
    (GroupBy::Consumer, "consumer_no"),
    (GroupBy::Feature, "feature_no"),
    (GroupBy::Day, "(id >> 21) / 86400000"),
];

/// The statements for each combination of columns, by the bits of their places.
static COUNTS: LazyLock<[String; 16]> = LazyLock::new(|| std::array::from_fn(counts));
static PRUNED: LazyLock<[String; 16]> = LazyLock::new(|| std::array::from_fn(pruned));

/// The columns, of which those are zero that are not asked for, and the clause that groups by the others.
fn grouping(columns: usize, day: &'static str) -> ([&'static str; 4], String) {
    let is_asked = |place: usize| columns & (1 << place) != 0;
    let names = COLUMNS.map(|(by, name)| if by == GroupBy::Day { day } else { name });
    let column = |place: usize| if is_asked(place) { names[place] } else { "0" };
    let places: Vec<String> =
        (0..4).filter(|place| is_asked(*place)).map(|place| (place + 1).to_string()).collect();
    let grouped =
        if places.is_empty() { String::new() } else { format!("GROUP BY {}", places.join(", ")) };
    (std::array::from_fn(column), grouped)
}

/// Counts the events from one id on and below another, so many at most. A last row names the one to go on with, if any, and
/// says whether the first is there.
fn counts(columns: usize) -> String {
    let ([key, consumer, feature, day], grouped) = grouping(columns, COLUMNS[3].1);
    format!(
        "WITH next (id) AS MATERIALIZED (
            SELECT id FROM usage_events WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3
        )
        SELECT {key}, {consumer}, {feature}, {day}, count(*) FROM usage_events
        WHERE id >= ?1 AND id < coalesce((SELECT id FROM next), ?2) {grouped}
        UNION ALL SELECT (SELECT id FROM next), EXISTS (SELECT 1 FROM usage_events WHERE id = ?1), NULL, NULL, NULL",
    )
}

/// Adds up the totals of the days that begin from one moment on and before another. A last row names the first event from an
/// id on, if there is one, and says of each of two days whether events of it were pruned.
fn pruned(columns: usize) -> String {
    let ([key, consumer, feature, day], grouped) = grouping(columns, "day");
    format!(
        "SELECT {key}, {consumer}, {feature}, {day}, coalesce(sum(grants), 0) FROM pruned_usage
        WHERE day * {DAY_MS} >= ?1 >> 21 AND day * {DAY_MS} < ?2 >> 21 {grouped}
        UNION ALL SELECT (SELECT min(id) FROM usage_events WHERE id >= ?1),
            EXISTS (SELECT 1 FROM pruned_usage WHERE day = ?3), EXISTS (SELECT 1 FROM pruned_usage WHERE day = ?4),
            NULL, NULL",
    )
}

pub(crate) async fn summarise(
    driver: &Driver,
    scans: &Scans,
    query: &SummaryQuery,
) -> Result<Summary, StoreError> {
    let mut groups = loop {
        match count(driver, scans, query).await? {
            Counted::Groups(groups) => break groups,
            Counted::TooMany => return Ok(Summary::TooMany(MOST_GROUPS)),
            Counted::CutsPruned { field, day } => return Ok(Summary::CutsPruned { field, day }),
            Counted::Overtaken => {}
        }
    };
    if query.by.is_empty() {
        groups.entry(Group::default()).or_default();
    }
    let mut rows = name_groups(driver, query, groups).await.map_err(StoreError::Read)?;
    rows.sort_unstable_by(|a, b| order(&query.by, a, b));
    Ok(Summary::Groups(rows))
}

/// What a count comes to.
enum Counted {
    Groups(FxHashMap<Group, i64>),
    TooMany,
    CutsPruned {
        field: &'static str,
        day: Timestamp,
    },
    /// Events that were to be counted were pruned meanwhile.
    Overtaken,
}

async fn count(
    driver: &Driver,
    scans: &Scans,
    query: &SummaryQuery,
) -> Result<Counted, StoreError> {
    let mut groups: FxHashMap<Group, i64> = FxHashMap::default();
    let (since, until) = ids_between(query.since, query.until);
    let (begins, ends) = (query.since.and_then(day_cut_by), query.until.and_then(day_cut_by));
    let statement = Statement::long(&*PRUNED[columns(query)]).with(since).with(until);
    let last = add(driver, statement.with(begins).with(ends), &mut groups).await;
    let read = |mut row: Row| Ok((row.int_or_null()?, row.int()? == 1, row.int()? == 1));
    let (mut next, begins_in_pruned, ends_in_pruned) =
        last.and_then(read).map_err(StoreError::Read)?;
    for (field, day, is_pruned) in
        [("since", begins, begins_in_pruned), ("until", ends, ends_in_pruned)]
    {
        if let (Some(day), true) = (day, is_pruned) {
            return Ok(Counted::CutsPruned { field, day: Timestamp::from_millis(day * DAY_MS) });
        }
    }
    let mut look = scans.looks.first;
    let mut scan = None;
    while let Some(since) = next.filter(|since| *since < until) {
        let _turn = scans::turn(scan.as_ref()).await;
        let statement = Statement::long(&*COUNTS[columns(query)]);
        let statement = statement.with(since).with(until).with(i64::from(look));
        let last = add(driver, statement, &mut groups).await;
        let after = |mut row: Row| Ok((row.int_or_null()?, row.int()? == 1));
        let (after, is_there) = last.and_then(after).map_err(StoreError::Read)?;
        if !is_there {
            return Ok(Counted::Overtaken);
        }
        if groups.len() > MOST_GROUPS {
            return Ok(Counted::TooMany);
        }
        next = after;
        look = scans.looks.further;
        if scan.is_none() && next.is_some() {
            scan = Some(scans.begin()?);
        }
    }
    Ok(if groups.len() > MOST_GROUPS { Counted::TooMany } else { Counted::Groups(groups) })
}

/// The day, in days since the epoch, that a moment lies within; none where it begins one.
fn day_cut_by(moment: Timestamp) -> Option<i64> {
    let ms = moment.as_millis();
    (ms.rem_euclid(DAY_MS) != 0).then(|| ms.div_euclid(DAY_MS))
}

/// The combination of columns that is asked for.
fn columns(query: &SummaryQuery) -> usize {
    let asked = (0..4).filter(|place| query.by.contains(&COLUMNS[*place].0));
    asked.map(|place| 1_usize << place).sum()
}

/// Adds what a statement counts to the groups; gives its last row.
async fn add(
    driver: &Driver,
    statement: Statement,
    groups: &mut FxHashMap<Group, i64>,
) -> Result<Row, DriverError> {
    let mut rows = driver.read(statement).await?;
    let broken_off = || DriverError::Unanswered("a list broke off".to_owned());
    let last = rows.pop().ok_or_else(broken_off)?;
    for mut row in rows {
        let group = [row.int()?, row.int()?, row.int()?, row.int()?];
        let grants = row.int()?;
        if grants > 0 {
            *groups.entry(group).or_default() += grants;
        }
    }
    Ok(last)
}

async fn name_groups(
    driver: &Driver,
    query: &SummaryQuery,
    groups: FxHashMap<Group, i64>,
) -> Result<Vec<SummaryRow>, DriverError> {
    let asks = |by| query.by.contains(&by);
    let numbers = |place: usize| groups.keys().map(|group| group[place]).collect::<Vec<_>>();
    let mut names: [FxHashMap<i64, Named>; 3] = Default::default();
    for (place, sql) in [
        "SELECT key_no, key_uuid, name FROM json_each(?1) CROSS JOIN keys ON key_no = value",
        "SELECT consumer_no, consumer_uuid, name FROM json_each(?1) CROSS JOIN consumers ON consumer_no = value",
        "SELECT feature_no, '', features.name FROM json_each(?1) CROSS JOIN features ON feature_no = value",
    ]
    .into_iter()
    .enumerate()
    {
        if asks(COLUMNS[place].0) {
            names[place] = read_names(driver, sql, numbers(place)).await?;
        }
    }
    let named = |group: Group, place: usize| names[place].get(&group[place]).cloned();
    let row = |(group, grants): (Group, i64)| SummaryRow {
        key: named(group, 0),
        consumer: named(group, 1),
        feature: named(group, 2).map(|feature| feature.name),
        day: asks(GroupBy::Day).then(|| Timestamp::from_millis(group[3] * DAY_MS)),
        grants,
    };
    Ok(groups.into_iter().map(row).collect())
}

/// The names of these rows.
async fn read_names(
    driver: &Driver,
    sql: &'static str,
    mut numbers: Vec<i64>,
) -> Result<FxHashMap<i64, Named>, DriverError> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut names = FxHashMap::default();
    for some in numbers.chunks(NAMES_A_READ) {
        let some = serde_json::to_string(some).expect("numbers are written to memory");
        for mut row in driver.read(Statement::new(sql).with(some)).await? {
            let (number, id, name) = (row.int()?, row.text()?, row.text()?);
            names.insert(number, Named { name, id });
        }
    }
    Ok(names)
}

/// By what is grouped by first, then by the second, and so on.
fn order(by: &[GroupBy], a: &SummaryRow, b: &SummaryRow) -> Ordering {
    let compare = |by: &GroupBy| match by {
        GroupBy::Key => a.key.cmp(&b.key),
        GroupBy::Consumer => a.consumer.cmp(&b.consumer),
        GroupBy::Feature => a.feature.cmp(&b.feature),
        GroupBy::Day => a.day.cmp(&b.day),
    };
    by.iter().map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}
