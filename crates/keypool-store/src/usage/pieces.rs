//! A search through usage events, piece by piece: so many events are looked at in one statement, the newest first.

use keypool_core::GrantId;

use super::{UsageQuery, UsageRow};
use crate::driver::{Driver, DriverError, Row, Statement};

/// What one statement looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Events with this id or a larger one are wanted.
    pub(super) since: i64,
    /// Events with a smaller id are wanted.
    pub(super) before: i64,
    /// Where the piece before ended; `None` for the first. Of one key: the event to go on with. Of all: the one before
    /// which to go on.
    pub(super) place: Option<i64>,
    /// How many events to look at.
    pub(super) look: u32,
    /// How many are still wanted.
    pub(super) most: u32,
}

/// The first columns are an event's; a last row names the place at which to go on, if there is one.
///
/// A name that nothing bears is met by no event: then nothing is looked at.
const OF_ALL: &str = "
    WITH
    wanted (consumer_no, feature_no, before) AS MATERIALIZED (
        SELECT consumer_no, feature_no,
            CASE WHEN (?5 IS NULL OR consumer_no IS NOT NULL) AND (?6 IS NULL OR feature_no IS NOT NULL)
                THEN coalesce(?7, ?1) ELSE 0 END
        FROM (SELECT (SELECT consumer_no FROM consumers WHERE consumer_uuid = ?5) AS consumer_no,
            (SELECT feature_no FROM features WHERE name = ?6) AS feature_no)
    ),
    last_looked_at (id) AS MATERIALIZED (
        SELECT id FROM usage_events WHERE id < (SELECT before FROM wanted) AND id >= ?2
        ORDER BY id DESC LIMIT 1 OFFSET ?3 - 1
    )
    SELECT * FROM (
        SELECT e.id, k.key_uuid, k.name, c.consumer_uuid, c.name, f.name
        FROM usage_events AS e
        CROSS JOIN keys AS k USING (key_no)
        CROSS JOIN consumers AS c USING (consumer_no)
        CROSS JOIN features AS f USING (feature_no)
        WHERE e.id < (SELECT before FROM wanted) AND e.id >= coalesce((SELECT id FROM last_looked_at), ?2)
            AND (?5 IS NULL OR e.consumer_no = (SELECT consumer_no FROM wanted))
            AND (?6 IS NULL OR e.feature_no = (SELECT feature_no FROM wanted))
        ORDER BY e.id DESC LIMIT ?4
    )
    UNION ALL SELECT (SELECT id FROM last_looked_at), NULL, NULL, NULL, NULL, NULL";

/// Walks the chain of the key's events from the newest that is wanted. Before an event of the key that is the one it
/// names; before any other, the first that a look at the events right before it finds, or else the chain is walked from
/// its newest event down to there.
const OF_ONE_KEY: &str = "
    WITH RECURSIVE
    wanted (key_no, consumer_no, feature_no, newest) AS MATERIALIZED (
        SELECT k.key_no, (SELECT consumer_no FROM consumers WHERE consumer_uuid = ?5),
            (SELECT feature_no FROM features WHERE name = ?6),
            CASE
            WHEN ?7 IS NOT NULL THEN ?7
            WHEN b.newest_event < ?1 THEN b.newest_event
            WHEN EXISTS (SELECT 1 FROM usage_events WHERE id = ?1 AND key_no = k.key_no)
                THEN (SELECT previous FROM usage_events WHERE id = ?1)
            ELSE coalesce((
                SELECT id FROM (SELECT id, key_no FROM usage_events WHERE id < ?1 ORDER BY id DESC LIMIT 10000)
                WHERE key_no = k.key_no ORDER BY id DESC LIMIT 1
            ), b.newest_event) END
        FROM keys AS k CROSS JOIN budget_counters AS b USING (key_no) WHERE k.key_uuid = ?8
    ),
    chain (id, key_no, consumer_no, feature_no, previous) AS MATERIALIZED (
        SELECT e.id, e.key_no, e.consumer_no, e.feature_no, e.previous
        FROM wanted CROSS JOIN usage_events AS e ON e.id = wanted.newest
        WHERE e.id >= ?2 AND (?5 IS NULL OR wanted.consumer_no IS NOT NULL)
            AND (?6 IS NULL OR wanted.feature_no IS NOT NULL)
        UNION ALL
        SELECT e.id, e.key_no, e.consumer_no, e.feature_no, e.previous
        FROM chain CROSS JOIN usage_events AS e ON e.id = chain.previous
        WHERE chain.previous >= ?2
        LIMIT ?3
    )
    SELECT * FROM (
        SELECT e.id, k.key_uuid, k.name, c.consumer_uuid, c.name, f.name
        FROM chain AS e
        CROSS JOIN keys AS k USING (key_no)
        CROSS JOIN consumers AS c USING (consumer_no)
        CROSS JOIN features AS f USING (feature_no)
        WHERE e.id < ?1
            AND (?5 IS NULL OR e.consumer_no = (SELECT consumer_no FROM wanted))
            AND (?6 IS NULL OR e.feature_no = (SELECT feature_no FROM wanted))
        ORDER BY e.id DESC LIMIT ?4
    )
    UNION ALL SELECT
        (SELECT CASE WHEN count(*) = ?3 THEN (SELECT previous FROM chain ORDER BY id LIMIT 1) END FROM chain),
        NULL, NULL, NULL, NULL, NULL";

/// Adds what a piece holds to what was found, and tells where to go on; `None` at the end of all.
pub(super) async fn read_piece(
    driver: &Driver,
    query: &UsageQuery,
    piece: &Piece,
    found: &mut Vec<UsageRow>,
) -> Result<Option<i64>, DriverError> {
    let sql = if query.key.is_some() { OF_ONE_KEY } else { OF_ALL };
    let mut statement = Statement::long(sql)
        .with(piece.before)
        .with(piece.since)
        .with(i64::from(piece.look))
        .with(i64::from(piece.most))
        .with(query.consumer.as_deref())
        .with(query.feature.as_deref())
        .with(piece.place);
    if let Some(key) = &query.key {
        statement = statement.with(key.as_str());
    }
    let mut rows = driver.read(statement).await?;
    let broken_off = || DriverError::Unanswered("a list broke off".to_owned());
    let next = rows.pop().ok_or_else(broken_off)?.int_or_null()?;
    for row in rows {
        found.push(usage_row(row)?);
    }
    Ok(next)
}

pub(crate) fn usage_row(mut row: Row) -> Result<UsageRow, DriverError> {
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
