//! What the database has on record, read straight from its file.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};

/// A usage event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) key_id: String,
    pub(crate) key_name: String,
    pub(crate) feature: String,
}

impl Event {
    /// When it was granted.
    pub(crate) fn at_ms(&self) -> i64 {
        self.id >> 21
    }
}

/// A rate limit of a key, or its budget, as it is now; no feature is the budget, no window is for life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) key_name: String,
    pub(crate) feature: Option<String>,
    pub(crate) most: i64,
    pub(crate) window_ms: Option<i64>,
}

/// Opens the file beside the server that writes to it.
pub(crate) fn open(file: &Path) -> Connection {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

/// All events, oldest first.
pub(crate) fn events(file: &Path) -> Vec<Event> {
    let sql = "SELECT e.id, k.key_uuid, k.name, f.name FROM usage_events AS e
        JOIN keys AS k USING (key_no) JOIN features AS f USING (feature_no) ORDER BY e.id";
    rows(file, sql, |row| {
        Ok(Event {
            id: row.get(0)?,
            key_id: row.get(1)?,
            key_name: row.get(2)?,
            feature: row.get(3)?,
        })
    })
}

/// All limits of keys that live.
pub(crate) fn limits(file: &Path) -> Vec<Limit> {
    let sql = "SELECT k.name, f.name, t.rate_limit, t.window_secs * 1000
            FROM keys AS k JOIN tier_features AS t USING (tier_no) JOIN features AS f USING (feature_no)
            WHERE k.deleted_ms IS NULL
        UNION ALL SELECT name, NULL, usage_limit, usage_window_secs * 1000 FROM keys
            WHERE deleted_ms IS NULL AND usage_limit IS NOT NULL";
    rows(file, sql, |row| {
        let (key_name, feature, most) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Limit { key_name, feature, most, window_ms: row.get(3)? })
    })
}

/// Counters that are not what the events say, and events that are not linked in order: none, ever (promise 3).
pub(crate) fn contradictions(file: &Path) -> Vec<String> {
    let sql = "SELECT 'budget of ' || k.name || ': ' || b.used || ' used, counted '
            || (b.opening + (SELECT count(*) FROM usage_events AS e WHERE e.key_no = b.key_no AND e.id > b.opening_after))
            FROM budget_counters AS b JOIN keys AS k USING (key_no)
            WHERE b.used <> b.opening
                + (SELECT count(*) FROM usage_events AS e WHERE e.key_no = b.key_no AND e.id > b.opening_after)
        UNION ALL SELECT 'rate of ' || k.name || ' for ' || f.name || ': ' || r.used || ' used, counted '
            || (SELECT count(*) FROM usage_events AS e
                WHERE e.key_no = r.key_no AND e.feature_no = r.feature_no AND e.id >= r.window_first)
            FROM rate_counters AS r JOIN keys AS k USING (key_no) JOIN features AS f USING (feature_no)
            LEFT JOIN rate_openings AS o ON o.key_no = r.key_no AND o.feature_no = r.feature_no
                AND o.window_start_ms = r.window_start_ms
            WHERE r.used <> coalesce(o.events, 0) + (SELECT count(*) FROM usage_events AS e
                WHERE e.key_no = r.key_no AND e.feature_no = r.feature_no AND e.id >= r.window_first)
        UNION ALL SELECT 'event ' || id || ' follows ' || coalesce(previous, 'none') || ', not ' || coalesce(older, 'none')
            FROM (SELECT id, previous, lag(id) OVER (PARTITION BY key_no ORDER BY id) AS older FROM usage_events)
            WHERE previous IS NOT older
        UNION ALL SELECT 'newest event of key ' || b.key_no FROM budget_counters AS b
            WHERE b.newest_event IS NOT (SELECT max(id) FROM usage_events AS e WHERE e.key_no = b.key_no)";
    rows(file, sql, |row| row.get(0))
}

/// A number that a query gives.
pub(crate) fn number(file: &Path, sql: &str) -> i64 {
    open(file).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn rows<T>(file: &Path, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let connection = open(file);
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| read(row)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}
