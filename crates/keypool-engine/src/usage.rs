//! The audit as the admin reads it: usage events, and how many there were. Read from the database each time.

use keypool_core::Timestamp;
use keypool_store::{StoreError, Summary, SummaryQuery, SummaryRow, UsageRow};

use crate::{AdminError, DrawId, Engine, Invalid, Unavailable, report, times};

const DAY_MS: i64 = 86_400_000;

/// Which usage events to list: those that meet all that is given. What names nothing that ever was is met by none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// At most this many.
    pub limit: u32,
    /// Of the key with this UUID, be it deleted.
    pub key: Option<String>,
    /// Drawn by the consumer with this UUID, be it deleted, or by `admin`.
    pub consumer: Option<String>,
    /// Drawn for the feature of this name.
    pub feature: Option<String>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<DrawId>,
}

/// A usage event: the audit row of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageView {
    /// Names the event.
    pub draw_id: DrawId,
    /// UUID of the key that was granted, whether or not it still exists.
    pub key_id: String,
    /// Name of that key; empty where it was never known.
    pub key_name: String,
    /// UUID of the consumer, or `admin`.
    pub consumer_id: String,
    /// Name of the consumer; empty where it was never known.
    pub consumer_name: String,
    /// The feature asked for.
    pub feature: String,
    /// When it was granted, to the millisecond.
    pub created_at: Timestamp,
}

impl Engine {
    /// Usage events, newest first.
    ///
    /// # Errors
    /// [`Unavailable::Store`] if they could not be read, [`Unavailable::Overloaded`] if too many long searches are under
    /// way.
    pub async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageView>, Unavailable> {
        let query = keypool_store::UsageQuery {
            limit: query.limit,
            key: query.key,
            consumer: query.consumer,
            feature: query.feature,
            since: query.since,
            until: query.until,
            before: query.before.map(|DrawId(id)| id),
        };
        let rows =
            self.shared.store.list_usage(&query).await.map_err(|error| unavailable(&error))?;
        Ok(rows.into_iter().map(UsageView::from).collect())
    }

    /// How many grants there were, grouped as asked for, in order.
    ///
    /// # Errors
    /// Invalid, where it comes to more groups than can be answered with, or where the time begins or ends within a day of
    /// which events were pruned; unavailable, as for [`usage`](Engine::usage).
    pub async fn usage_summary(&self, query: &SummaryQuery) -> Result<Vec<SummaryRow>, AdminError> {
        match self.shared.store.summarise_usage(query).await.map_err(|error| unavailable(&error))? {
            Summary::Groups(rows) => Ok(rows),
            Summary::TooMany(most) => Err(AdminError::Invalid(Invalid {
                field: "by".to_owned(),
                problem: format!(
                    "comes to more than {most} groups; name less here, or a shorter time by `since` and `until`"
                ),
            })),
            Summary::CutsPruned { field, day } => Err(AdminError::Invalid(Invalid {
                field: field.to_owned(),
                problem: within_pruned(day),
            })),
        }
    }
}

fn within_pruned(day: Timestamp) -> String {
    let next = Timestamp::from_millis(day.as_millis().saturating_add(DAY_MS));
    format!(
        "lies within {}, of which usage events were pruned: that day counts whole or not at all; name {} or {}",
        times::to_the_day(day),
        times::to_the_second(day),
        times::to_the_second(next)
    )
}

fn unavailable(error: &StoreError) -> Unavailable {
    if matches!(error, StoreError::Crowded) {
        return Unavailable::Overloaded;
    }
    report(error, "usage events could not be read");
    Unavailable::Store
}

impl From<UsageRow> for UsageView {
    fn from(row: UsageRow) -> Self {
        Self {
            draw_id: DrawId(row.id),
            key_id: row.key_id,
            key_name: row.key_name,
            consumer_id: row.consumer_id,
            consumer_name: row.consumer_name,
            feature: row.feature,
            created_at: row.at,
        }
    }
}
