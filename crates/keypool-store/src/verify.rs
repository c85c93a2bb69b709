//! Looks whether a database is whole and says what it should: reads only, beside a running server, and tells all that it
//! finds. What a value says is not known here: values are handed on, to be tried by whoever can open them.
//!
//! What is read of a file is of one moment. A database server is asked check by check, and each sees one moment of its own.

mod file;
mod schema;

use std::fmt;

use crate::counters::{mismatches, mismatches_statement};
use crate::driver::{DriverError, Row, Statement};
use crate::error::OpenStoreError;
use crate::migrate::NEWEST;
use crate::prospect::{Source, glance, living_values};
use crate::recognise::Shape;
use crate::settings::StoreSettings;
use crate::values::StoredValue;

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The file: who may read it, and whether it stands under one name alone.
    File,
    /// SQLite's own look at pages and indexes (`PRAGMA integrity_check`; through a connection that cannot write it leaves
    /// CHECK rules out).
    Integrity,
    /// Whether every row has the rows that it refers to.
    ForeignKeys,
    /// Whether tables, indexes, views and triggers are those that the migrations make.
    Schema,
    /// Whether counters equal opening balances plus usage events, to the unit.
    Counters,
    /// Whether each usage event names the one before it of the same key, and the counters the newest.
    Chains,
    /// Whether the pool's revision accounts for every change.
    Revisions,
    /// Whether every value opens.
    Values,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Check; 8] = [
        Check::File,
        Check::Integrity,
        Check::ForeignKeys,
        Check::Schema,
        Check::Counters,
        Check::Chains,
        Check::Revisions,
        Check::Values,
    ];

    /// Its name, for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Check::File => "file",
            Check::Integrity => "integrity",
            Check::ForeignKeys => "foreign_keys",
            Check::Schema => "schema",
            Check::Counters => "counters",
            Check::Chains => "chains",
            Check::Revisions => "revisions",
            Check::Values => "values",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// A sentence that names rows by their ids and names, and holds no value.
    pub what: String,
}

/// What was found in a database.
#[derive(Debug)]
pub struct Verification {
    /// What it is.
    pub shape: Shape,
    /// How many usage events, keys and consumers it has; none before this program's schema.
    pub rows: Option<RowCounts>,
    /// What is not as it should be: of each check the first hundred, and whether there is more.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub skipped: Vec<Finding>,
    /// Every value of a living key, to be tried.
    pub values: Vec<StoredValue>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCounts {
    /// Usage events.
    pub usage_events: i64,
    /// Keys that were not deleted.
    pub keys: i64,
    /// Consumers that were not deleted.
    pub consumers: i64,
}

/// At most so much is told of one check.
const MOST_FINDINGS: usize = 100;

/// Looks at a database. Changes nothing and takes no lock.
///
/// # Errors
/// There is no database, it is none of keypooler, or it cannot be read. A damaged one is a finding.
pub async fn verify(
    settings: impl Into<StoreSettings>,
    mut progress: impl FnMut(Check),
) -> Result<Verification, OpenStoreError> {
    let settings = settings.into();
    let place = settings.place();
    let (source, shape) = match glance(settings).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(OpenStoreError::Missing { path: place }),
        Err(OpenStoreError::Damaged { finding, .. }) => return Ok(Verification::damaged(finding)),
        Err(error) => return Err(error),
    };
    let mut looking = Looking { source, found: Verification::of(shape) };
    let looked = looking.look(&mut progress).await;
    let Looking { source, found } = looking;
    source.close().await;
    looked.map(|()| found).map_err(|source| OpenStoreError::Access { path: place, source })
}

impl Verification {
    fn of(shape: Shape) -> Verification {
        let (findings, skipped, values) = (Vec::new(), Vec::new(), Vec::new());
        Verification { shape, rows: None, findings, skipped, values }
    }

    fn damaged(what: String) -> Verification {
        let mut found = Verification::of(Shape::Empty);
        found.findings.push(Finding { check: Check::Integrity, what });
        found
    }
}

/// A database that is looked at, and what was found so far.
struct Looking {
    source: Source,
    found: Verification,
}

impl Looking {
    async fn look(&mut self, progress: &mut impl FnMut(Check)) -> Result<(), DriverError> {
        if !self.source.is_server() {
            progress(Check::File);
            let found = file::findings(&self.source.place());
            self.note(Check::File, Ok(found))?;
        }
        self.source.begin().await?;
        progress(Check::Integrity);
        let found = self.tell(INTEGRITY).await;
        self.note(Check::Integrity, found)?;
        progress(Check::ForeignKeys);
        let found = self.tell(FOREIGN_KEYS).await;
        self.note(Check::ForeignKeys, found)?;
        match self.found.shape {
            Shape::Version(version) if i64::from(version) == NEWEST => {
                self.look_at_pool(progress).await?;
            }
            Shape::Empty => return Ok(()),
            Shape::Version(version) => {
                let what = format!(
                    "schema version {version} is not this program's ({NEWEST}): its tables are not looked at before \
                     `keypooler migrate`"
                );
                self.found.skipped.push(Finding { check: Check::Schema, what });
            }
        }
        progress(Check::Values);
        match living_values(&mut self.source, self.found.shape).await {
            Ok(values) => self.found.values = values,
            Err(error) => self.note(Check::Values, Err(error))?,
        }
        Ok(())
    }

    async fn look_at_pool(&mut self, progress: &mut impl FnMut(Check)) -> Result<(), DriverError> {
        progress(Check::Schema);
        let found = schema::findings(&mut self.source).await;
        self.note(Check::Schema, found)?;
        progress(Check::Counters);
        let found = match self.source.read(mismatches_statement()).await.and_then(mismatches) {
            Ok(found) => {
                let first = found.iter().take(MOST_FINDINGS + 1);
                let mut found: Vec<String> = first.map(ToString::to_string).collect();
                found.extend(self.tell(TOTALS).await?);
                Ok(found)
            }
            Err(error) => Err(error),
        };
        self.note(Check::Counters, found)?;
        progress(Check::Chains);
        let mut found = self.tell(CHAINS).await;
        if let Ok(found) = &mut found {
            found.extend(self.tell(ROTATION).await?);
        }
        self.note(Check::Chains, found)?;
        progress(Check::Revisions);
        let found = self.tell(REVISIONS).await;
        self.note(Check::Revisions, found)?;
        let mut rows = self.source.read(Statement::long(COUNTS)).await?;
        if let Some(row) = rows.first_mut() {
            let [usage_events, keys, consumers] = [row.int()?, row.int()?, row.int()?];
            self.found.rows = Some(RowCounts { usage_events, keys, consumers });
        }
        Ok(())
    }

    /// Runs a query whose rows are sentences, of which one more than is told shows that there are more: however many there
    /// would be, they are not made.
    async fn tell(&mut self, sql: &'static str) -> Result<Vec<String>, DriverError> {
        let statement = Statement::long(format!("{sql} LIMIT {}", MOST_FINDINGS + 1));
        let rows = self.source.read(statement).await?;
        rows.into_iter().map(|mut row: Row| row.text()).collect()
    }

    /// Keeps what a check found. That the file is damaged is a finding; what a database server does not do is skipped.
    fn note(
        &mut self,
        check: Check,
        found: Result<Vec<String>, DriverError>,
    ) -> Result<(), DriverError> {
        let finding = |what| Finding { check, what };
        match found {
            Ok(found) => {
                let has_more = found.len() > MOST_FINDINGS;
                let first = found.into_iter().take(MOST_FINDINGS);
                self.found.findings.extend(first.map(finding));
                if has_more {
                    self.found.findings.push(finding("and more".to_owned()));
                }
            }
            Err(error @ DriverError::Damaged) => {
                self.found.findings.push(finding(error.to_string()));
            }
            Err(error @ DriverError::Rejected { .. }) if self.source.is_server() => {
                self.found.skipped.push(finding(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// SQLite stops at a hundred by itself.
const INTEGRITY: &str =
    "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'";

const FOREIGN_KEYS: &str = "
    SELECT 'row ' || coalesce(rowid, '') || ' of ' || \"table\" || ' refers to a row of ' || parent || ' that is not there'
    FROM pragma_foreign_key_check";

/// What was pruned is in the totals of its days.
const TOTALS: &str = "
    SELECT 'events that were pruned: ' || pruned || ', and the totals of their days amount to ' || grants
    FROM (
        SELECT (SELECT coalesce(sum(events), 0) FROM prunings) AS pruned,
            (SELECT coalesce(sum(grants), 0) FROM pruned_usage) AS grants
    )
    WHERE pruned <> grants";

/// The events of a key, in the order of their ids, are a chain: each names the one before it. The key's counter names the
/// newest. Both may name one that was pruned.
const CHAINS: &str = "
    WITH pruned (id) AS MATERIALIZED (SELECT coalesce(max(before_ms), 0) << 21 FROM prunings)
    SELECT 'usage event ' || e.id || ' of key ' || k.name || ' (' || k.key_uuid || ') names '
        || coalesce(e.previous, 'none') || ' as the one before it, and that is ' || coalesce(e.older, 'none')
    FROM (
        SELECT id, key_no, previous, lag(id) OVER (PARTITION BY key_no ORDER BY id) AS older FROM usage_events
    ) AS e
    CROSS JOIN keys AS k USING (key_no)
    WHERE e.previous IS NOT e.older AND NOT (e.older IS NULL AND e.previous < (SELECT id FROM pruned))
    UNION ALL
    SELECT 'key ' || k.name || ' (' || k.key_uuid || ') names ' || coalesce(b.newest_event, 'none')
        || ' as its newest usage event, and that is ' || coalesce(newest.id, 'none')
    FROM keys AS k
    LEFT JOIN budget_counters AS b USING (key_no)
    LEFT JOIN (SELECT key_no, max(id) AS id FROM usage_events GROUP BY key_no) AS newest USING (key_no)
    WHERE b.newest_event IS NOT newest.id
        AND NOT (newest.id IS NULL AND b.newest_event < (SELECT id FROM pruned))";

/// The rotation goes on from the last grant of each key and feature.
const ROTATION: &str = "
    SELECT 'key ' || k.name || ' (' || k.key_uuid || ') was granted for ' || f.name || ' at ' || newest.id
        || ', and the rotation knows of ' || coalesce(r.last_grant, 'none')
    FROM (
        SELECT e.key_no, e.feature_no, max(e.id) AS id
        FROM usage_events AS e CROSS JOIN rate_counters AS r USING (key_no, feature_no)
        WHERE e.id > coalesce(r.last_grant, 0) GROUP BY e.key_no, e.feature_no
    ) AS newest
    CROSS JOIN rate_counters AS r USING (key_no, feature_no)
    CROSS JOIN keys AS k USING (key_no)
    CROSS JOIN features AS f USING (feature_no)";

/// No row is ahead of the pool's revision, and since the first change on record every revision is on record.
const REVISIONS: &str = "
    SELECT 'the ' || kind || ' ' || name || ' carries revision ' || row.revision || ', and the pool is at ' || pool.revision
    FROM pool CROSS JOIN (
        SELECT 'tier' AS kind, name, revision FROM tiers
        UNION ALL SELECT 'key', name, revision FROM keys
        UNION ALL SELECT 'consumer', name, revision FROM consumers
        UNION ALL SELECT 'change', change_id, revision FROM changes
    ) AS row
    WHERE row.revision > pool.revision
    UNION ALL
    SELECT missing || ' changes since revision ' || first || ' are not on record: the pool was changed by other means'
    FROM (
        SELECT (SELECT revision FROM pool) - min(revision) + 1 - count(*) AS missing, min(revision) AS first FROM changes
    )
    WHERE missing > 0
    UNION ALL
    SELECT 'it holds a copy of another database that was not finished' FROM pool WHERE is_copying = 1";

const COUNTS: &str = "
    SELECT (SELECT count(*) FROM usage_events), (SELECT count(*) FROM keys WHERE deleted_ms IS NULL),
        (SELECT count(*) FROM consumers WHERE deleted_ms IS NULL AND consumer_no <> 0)";
