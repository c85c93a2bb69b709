//! The audit: usage events as they are listed, newest first, under the names that their keys and consumers had.

use keypool_core::{GrantId, Timestamp};

use crate::driver::{Driver, DriverError, Row, Statement};

/// Which usage events to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// At most so many.
    pub limit: u32,
    /// Only those of the key with this UUID.
    pub key: Option<String>,
    /// Only those older than this one.
    pub before: Option<GrantId>,
}

/// One usage event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The grant that it records.
    pub id: GrantId,
    /// The key's UUID.
    pub key_id: String,
    /// The key's name, a deleted key's too; empty for a key that the Go program had lost.
    pub key_name: String,
    /// The consumer's UUID, or `admin`.
    pub consumer_id: String,
    /// The consumer's name, a deleted one's too, or `admin`.
    pub consumer_name: String,
    /// What was asked for.
    pub feature: String,
    /// When. Events of the Go program are known to the second.
    pub at: Timestamp,
}

const OF_ALL: &str = "
    SELECT e.id, k.key_uuid, k.name, c.consumer_uuid, c.name, f.name
    FROM usage_events AS e
    CROSS JOIN keys AS k USING (key_no)
    CROSS JOIN consumers AS c USING (consumer_no)
    CROSS JOIN features AS f USING (feature_no)
    WHERE e.id < ?1
    ORDER BY e.id DESC LIMIT ?2";

/// Walks the chain of the key's events from the newest that is wanted. Before an event of the key that is the one it
/// names; before any other, the first that a look at the events right before it finds, or else the chain tells.
const OF_ONE_KEY: &str = "
    WITH RECURSIVE
    wanted (key_no, newest) AS MATERIALIZED (
        SELECT k.key_no, CASE
            WHEN b.newest_event < ?1 THEN b.newest_event
            WHEN EXISTS (SELECT 1 FROM usage_events WHERE id = ?1 AND key_no = k.key_no)
                THEN (SELECT previous FROM usage_events WHERE id = ?1)
            ELSE coalesce((
                SELECT id FROM (SELECT id, key_no FROM usage_events WHERE id < ?1 ORDER BY id DESC LIMIT 10000)
                WHERE key_no = k.key_no ORDER BY id DESC LIMIT 1
            ), (
                WITH RECURSIVE newer (id, previous) AS (
                    SELECT id, previous FROM usage_events WHERE id = b.newest_event
                    UNION ALL
                    SELECT e.id, e.previous FROM newer CROSS JOIN usage_events AS e ON e.id = newer.previous
                    WHERE newer.previous >= ?1
                )
                SELECT previous FROM newer ORDER BY id LIMIT 1
            )) END
        FROM keys AS k CROSS JOIN budget_counters AS b USING (key_no) WHERE k.key_uuid = ?3
    ),
    chain (id, key_no, consumer_no, feature_no, previous) AS (
        SELECT e.id, e.key_no, e.consumer_no, e.feature_no, e.previous
        FROM wanted CROSS JOIN usage_events AS e ON e.id = wanted.newest
        UNION ALL
        SELECT e.id, e.key_no, e.consumer_no, e.feature_no, e.previous
        FROM chain CROSS JOIN usage_events AS e ON e.id = chain.previous
        LIMIT ?2
    )
    SELECT e.id, k.key_uuid, k.name, c.consumer_uuid, c.name, f.name
    FROM chain AS e
    CROSS JOIN keys AS k USING (key_no)
    CROSS JOIN consumers AS c USING (consumer_no)
    CROSS JOIN features AS f USING (feature_no)
    ORDER BY e.id DESC";

pub(crate) async fn list_usage(
    driver: &Driver,
    query: &UsageQuery,
) -> Result<Vec<UsageRow>, DriverError> {
    let before = query.before.map_or(i64::MAX, GrantId::get);
    let statement = match &query.key {
        None => Statement::long(OF_ALL),
        Some(_) => Statement::long(OF_ONE_KEY),
    };
    let mut statement = statement.with(before).with(i64::from(query.limit));
    if let Some(key) = &query.key {
        statement = statement.with(key.as_str());
    }
    driver.read(statement).await?.into_iter().map(usage_row).collect()
}

fn usage_row(mut row: Row) -> Result<UsageRow, DriverError> {
    let id = GrantId::new(row.int()?);
    Ok(UsageRow {
        id,
        key_id: row.text()?,
        key_name: row.text()?,
        consumer_id: row.text()?,
        consumer_name: row.text()?,
        feature: row.text()?,
        at: id.at(),
    })
}
