//! What stands on record of some keys: their true counters, for a replica whose forecast was wrong or is old.

use std::collections::BTreeMap;

use keypool_core::{GrantId, KeyNo, Timestamp};

use crate::draws::table;
use crate::driver::{Driver, DriverError, Statement};
use crate::snapshot::{CounterRow, counter_row};

/// The counters of some keys at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The pool's revision.
    pub revision: i64,
    /// The keys, by number. One that was deleted is left out.
    pub keys: Vec<KeyStanding>,
}

/// The counters of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStanding {
    /// The key.
    pub key: KeyNo,
    /// What is used of the budget in the window under way.
    pub usage_count: i64,
    /// The start of that window.
    pub usage_window_start: Option<Timestamp>,
    /// Its rate counters.
    pub counters: Vec<CounterRow>,
}

/// Counters of more keys than these may take their time.
const MANY: usize = 1_000;
/// Events that are looked at, at most, to find the keys that were served of late.
const MOST_EVENTS: i64 = 2_000;

/// The first column says what a row is: the revision, a key's budget counter, or a rate counter.
macro_rules! standing {
    ($of:literal) => {
        concat!(
            "WITH wanted (key_no) AS MATERIALIZED (",
            $of,
            ")
            SELECT 0, revision, NULL, NULL, NULL, NULL FROM pool
            UNION ALL SELECT 1, b.key_no, b.used, b.window_start_ms, NULL, NULL
                FROM wanted CROSS JOIN budget_counters AS b USING (key_no) CROSS JOIN keys AS k USING (key_no)
                WHERE k.deleted_ms IS NULL
            UNION ALL SELECT 2, r.key_no, r.feature_no, r.window_start_ms, r.used, r.last_grant
                FROM wanted CROSS JOIN rate_counters AS r USING (key_no)"
        )
    };
}

const OF_THESE: &str = standing!("SELECT value ->> 0 FROM json_each(?1)");
/// Those of the latest events; where these are too many, of every key's own latest event.
const OF_RECENT: &str = standing!(
    "SELECT key_no FROM (SELECT key_no FROM usage_events WHERE id > ?1 ORDER BY id DESC LIMIT ?2)
    UNION
    SELECT key_no FROM budget_counters
    WHERE (SELECT count(*) FROM (SELECT 1 FROM usage_events WHERE id > ?1 LIMIT ?2)) >= ?2 AND newest_event > ?1"
);

pub(crate) async fn standing_of(driver: &Driver, keys: &[KeyNo]) -> Result<Standing, DriverError> {
    let statement =
        if keys.len() > MANY { Statement::long(OF_THESE) } else { Statement::new(OF_THESE) };
    read(driver, statement.with(table(keys, |key| [Some(key.get())]))).await
}

pub(crate) async fn recent_standing(
    driver: &Driver,
    since: GrantId,
) -> Result<Standing, DriverError> {
    read(driver, Statement::new(OF_RECENT).with(since.get()).with(MOST_EVENTS)).await
}

async fn read(driver: &Driver, statement: Statement) -> Result<Standing, DriverError> {
    let mut revision = 0;
    let mut keys: BTreeMap<KeyNo, KeyStanding> = BTreeMap::new();
    let mut counters = Vec::new();
    for mut row in driver.read(statement).await? {
        let (kind, no) = (row.int()?, row.int()?);
        let key = KeyNo::new(no);
        match kind {
            0 => revision = no,
            1 => {
                let usage_count = row.int()?;
                let usage_window_start = row.int_or_null()?.map(Timestamp::from_millis);
                let counters = Vec::new();
                keys.insert(key, KeyStanding { key, usage_count, usage_window_start, counters });
            }
            _ => counters.push((key, counter_row(row)?)),
        }
    }
    for (key, counter) in counters {
        if let Some(key) = keys.get_mut(&key) {
            key.counters.push(counter);
        }
    }
    Ok(Standing { revision, keys: keys.into_values().collect() })
}
