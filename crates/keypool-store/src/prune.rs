//! Takes old usage events out of the database, some at a time, so that what they amount to stays: in one transaction their
//! number goes to the opening balances that count them and to the totals of their days, what they tell of their consumers'
//! last uses is noted, and they go.
//!
//! The newest usage event of all stays, whatever its age: the pool's clock goes by it.

use keypool_core::{GrantId, Timestamp};

use crate::change::raise;
use crate::draws::Sender;
use crate::driver::{DriverError, Row, Statement};
use crate::error::{StoreError, WriteError};
use crate::record::{self, ChangeRecord, Origin};
use crate::store::Store;
use crate::usage::{UsageRow, first_id_at, usage_row};

/// How much there is to prune.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prunable {
    /// Usage events.
    pub events: i64,
    /// The first of them, if there is one.
    pub first: Option<GrantId>,
    /// The last of them.
    pub last: Option<GrantId>,
}

/// A window that is open, and began before the moment that is to be pruned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    /// The key's UUID.
    pub key_id: String,
    /// The key's name.
    pub key_name: String,
    /// The feature, for a rate limit; `None` for the key's budget.
    pub feature: Option<String>,
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// Usage events that are to go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneBatch {
    /// The revision of the pool; it becomes one more.
    pub base: i64,
    /// Who does it.
    pub origin: Origin,
    /// What is put on record of it.
    pub record: ChangeRecord,
    /// The moment that is pruned to, for the record.
    pub before: Timestamp,
    /// When pruning to it began, for the record.
    pub begun: Timestamp,
    /// The newest of the events: all up to it go.
    pub last: GrantId,
    /// How many they are. Where the database has another number, none goes.
    pub events: usize,
}

const PRUNABLE: &str = "
    SELECT count(*), min(id), max(id) FROM usage_events
    WHERE id < min(?1, (SELECT max(id) FROM usage_events))";

/// A feature that the key's tier does not cover any more has no limit, and no window.
const OPEN_WINDOWS: &str = "
    SELECT key_uuid, name, feature, since, until FROM (
        SELECT k.key_uuid, k.name, NULL AS feature, b.window_start_ms AS since,
            b.window_start_ms + k.usage_window_secs * 1000 AS until
        FROM keys AS k CROSS JOIN budget_counters AS b USING (key_no)
        WHERE k.deleted_ms IS NULL
        UNION ALL
        SELECT k.key_uuid, k.name, f.name, r.window_start_ms, r.window_start_ms + t.window_secs * 1000
        FROM rate_counters AS r CROSS JOIN keys AS k USING (key_no)
        CROSS JOIN tier_features AS t ON t.tier_no = k.tier_no AND t.feature_no = r.feature_no
        CROSS JOIN features AS f ON f.feature_no = r.feature_no
    )
    WHERE since < ?1 AND until > ?2
    ORDER BY since LIMIT 1";

const OLDEST: &str = "
    SELECT e.id, k.key_uuid, k.name, c.consumer_uuid, c.name, f.name
    FROM usage_events AS e
    CROSS JOIN keys AS k USING (key_no)
    CROSS JOIN consumers AS c USING (consumer_no)
    CROSS JOIN features AS f USING (feature_no)
    WHERE e.id < min(?1, (SELECT max(id) FROM usage_events))
    ORDER BY e.id LIMIT ?2";

impl Store {
    /// How many usage events are older than a moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn prunable(&self, before: Timestamp) -> Result<Prunable, StoreError> {
        let statement = Statement::long(PRUNABLE).with(first_id_at(before));
        let prunable = |mut row: Row| {
            Ok(Prunable {
                events: row.int()?,
                first: row.int_or_null()?.map(GrantId::new),
                last: row.int_or_null()?.map(GrantId::new),
            })
        };
        let rows = self.read(statement).await?;
        let row = rows.into_iter().next();
        row.map_or(Ok(Prunable::default()), prunable).map_err(StoreError::Read)
    }

    /// The window that began first of those that are open at `now` and began before a moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn open_window(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Option<OpenWindow>, StoreError> {
        let statement = Statement::long(OPEN_WINDOWS);
        let statement = statement.with(before.as_millis()).with(now.as_millis());
        let window = |mut row: Row| {
            Ok(OpenWindow {
                key_id: row.text()?,
                key_name: row.text()?,
                feature: row.text_or_null()?,
                since: Timestamp::from_millis(row.int()?),
                until: Timestamp::from_millis(row.int()?),
            })
        };
        let rows = self.read(statement).await?;
        rows.into_iter().next().map(window).transpose().map_err(StoreError::Read)
    }

    /// The oldest usage events before a moment, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn oldest_usage(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<UsageRow>, StoreError> {
        let statement = Statement::long(OLDEST).with(first_id_at(before)).with(i64::from(limit));
        let rows = self.read(statement).await?;
        rows.into_iter().map(usage_row).collect::<Result<_, _>>().map_err(StoreError::Read)
    }

    /// Prunes usage events, all or none, and raises the revision by one.
    ///
    /// # Errors
    /// [`WriteError::Stale`] if there are not as many as the batch says, too; otherwise as for [`Store::change`].
    pub async fn prune(&self, batch: &PruneBatch) -> Result<(), WriteError> {
        match self.raise_revision(batch.base, |id, sender| batch.statements(id, sender)).await {
            Err(WriteError::Failed(StoreError::Write(DriverError::Touched { .. }))) => {
                Err(WriteError::Stale)
            }
            outcome => outcome,
        }
    }
}

impl PruneBatch {
    fn statements(&self, id: &str, sender: Option<Sender>) -> Vec<Statement> {
        let mut write = vec![raise(self.base, sender)];
        record::write(
            &mut write,
            (self.base.saturating_add(1), id, self.begun),
            &self.origin,
            std::slice::from_ref(&self.record),
        );
        write.extend(self.moves());
        write
    }

    fn moves(&self) -> Vec<Statement> {
        let last = self.last.get();
        let record = "INSERT INTO prunings (before_ms, begun_ms, events) VALUES (?1, ?2, ?3)
        ON CONFLICT (before_ms) DO UPDATE SET events = events + excluded.events";
        let events = i64::try_from(self.events).unwrap_or(i64::MAX);
        let record = Statement::new(record)
            .with(self.before.as_millis())
            .with(self.begun.as_millis())
            .with(events);
        let days = "INSERT INTO pruned_usage (day, key_no, consumer_no, feature_no, grants)
        SELECT (id >> 21) / 86400000, key_no, consumer_no, feature_no, count(*)
        FROM usage_events WHERE id <= ?1 GROUP BY 1, 2, 3, 4
        ON CONFLICT (day, key_no, consumer_no, feature_no) DO UPDATE SET grants = grants + excluded.grants";
        let budgets = "UPDATE budget_counters SET opening = opening + gone.events
        FROM (
            SELECT e.key_no, count(*) AS events
            FROM usage_events AS e CROSS JOIN budget_counters AS b USING (key_no)
            WHERE e.id <= ?1 AND e.id > b.opening_after GROUP BY e.key_no
        ) AS gone
        WHERE budget_counters.key_no = gone.key_no";
        let rates = "INSERT INTO rate_openings (key_no, feature_no, window_start_ms, events)
        SELECT e.key_no, e.feature_no, r.window_start_ms, count(*)
        FROM usage_events AS e CROSS JOIN rate_counters AS r USING (key_no, feature_no)
        WHERE e.id <= ?1 AND e.id >= r.window_first GROUP BY e.key_no, e.feature_no
        ON CONFLICT (key_no, feature_no) DO UPDATE SET
            events = excluded.events
                + CASE WHEN window_start_ms = excluded.window_start_ms THEN events ELSE 0 END,
            window_start_ms = excluded.window_start_ms";
        let uses = "INSERT INTO consumer_uses (consumer_no, last_event)
        SELECT consumer_no, max(id) FROM usage_events WHERE id <= ?1 GROUP BY consumer_no
        ON CONFLICT (consumer_no) DO UPDATE SET last_event = max(last_event, excluded.last_event)";
        let go = "DELETE FROM usage_events WHERE id <= ?1";
        vec![
            record,
            Statement::new(days).with(last),
            Statement::new(budgets).with(last),
            Statement::new(rates).with(last),
            Statement::new(uses).with(last),
            Statement::new(go).with(last).touching(self.events),
        ]
    }
}
