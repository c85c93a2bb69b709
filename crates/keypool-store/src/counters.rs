//! The check of promise 3: counters equal their opening balances plus usage events, to the unit.

use std::fmt;

use crate::driver::{Driver, DriverError, Row, Statement};

/// A counter that is not what its events say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterMismatch {
    /// The key's UUID.
    pub key_id: String,
    /// The key's name.
    pub key_name: String,
    /// The feature, for a rate counter; `None` for the key's budget counter.
    pub feature: Option<String>,
    /// What the counter says; `None` where it is missing.
    pub recorded: Option<i64>,
    /// What the opening balance and the events amount to.
    pub counted: i64,
}

impl fmt::Display for CounterMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, since) = match &self.feature {
            None => {
                ("the budget counter".to_owned(), "its opening balance and usage events amount")
            }
            Some(feature) => {
                (format!("the rate counter for {feature}"), "the usage events of its window amount")
            }
        };
        write!(f, "{of} of key {} ({}) ", self.key_name, self.key_id)?;
        match self.recorded {
            Some(recorded) => write!(f, "is {recorded}")?,
            None => write!(f, "is missing")?,
        }
        write!(f, ", and {since} to {}", self.counted)
    }
}

/// A budget counter is its opening balance plus the key's events since; a rate counter its window's opening balance plus the
/// events of the key and feature since the first of its window, 0 where none was opened. One statement, so that it sees one
/// moment; each half goes through the events once.
const MISMATCHES: &str = "
    SELECT key_uuid, key_name, feature, recorded, counted FROM (
        SELECT k.key_uuid, k.name AS key_name, NULL AS feature, b.used AS recorded,
            coalesce(b.opening, 0) + coalesce(since.events, 0) AS counted
        FROM keys AS k
        LEFT JOIN budget_counters AS b USING (key_no)
        LEFT JOIN (
            SELECT e.key_no, count(*) AS events
            FROM usage_events AS e LEFT JOIN budget_counters AS b ON b.key_no = e.key_no
            WHERE e.id > coalesce(b.opening_after, -1) GROUP BY e.key_no
        ) AS since USING (key_no)
        WHERE k.deleted_ms IS NULL
        UNION ALL
        SELECT k.key_uuid, k.name, f.name, r.used, coalesce(since.events, 0) + coalesce(p.events, 0)
        FROM rate_counters AS r
        JOIN keys AS k USING (key_no)
        JOIN features AS f USING (feature_no)
        LEFT JOIN rate_openings AS p ON p.key_no = r.key_no AND p.feature_no = r.feature_no
            AND p.window_start_ms = r.window_start_ms
        LEFT JOIN (
            SELECT e.key_no, e.feature_no, count(*) AS events
            FROM usage_events AS e CROSS JOIN rate_counters AS r USING (key_no, feature_no)
            WHERE e.id >= r.window_first GROUP BY e.key_no, e.feature_no
        ) AS since USING (key_no, feature_no)
    )
    WHERE recorded IS NOT counted
    ORDER BY 2, 1, 3";

pub(crate) async fn list_mismatches(driver: &Driver) -> Result<Vec<CounterMismatch>, DriverError> {
    mismatches(driver.read(mismatches_statement()).await?)
}

pub(crate) fn mismatches_statement() -> Statement {
    Statement::long(MISMATCHES)
}

pub(crate) fn mismatches(rows: Vec<Row>) -> Result<Vec<CounterMismatch>, DriverError> {
    rows.into_iter()
        .map(|mut row| {
            Ok(CounterMismatch {
                key_id: row.text()?,
                key_name: row.text()?,
                feature: row.text_or_null()?,
                recorded: row.int_or_null()?,
                counted: row.int()?,
            })
        })
        .collect()
}
