//! The record of what admins changed, as it is listed.

use std::fmt;
use std::str::FromStr;

use keypool_core::Timestamp;
use keypool_store::ChangeRow;

use crate::{Engine, Unavailable, report};

/// Names a record of a change; opaque to callers, ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(i64);

/// A text that is no id of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a change")]
pub struct ChangeIdError;

/// Which records to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangesQuery {
    /// At most this many.
    pub limit: u32,
    /// Only those older than this one.
    pub before: Option<ChangeId>,
}

/// What is on record of one thing that an admin changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeView {
    /// Names the record.
    pub id: ChangeId,
    /// When it was changed.
    pub at: Timestamp,
    /// What was done, as a stable word such as `add_key`.
    pub what: String,
    /// UUID of the thing, whether or not it still exists.
    pub id_of: String,
    /// Its name then.
    pub name: String,
    /// The address that it was asked from, or the command that made it.
    pub from: Option<String>,
    /// Id of the request that asked for it.
    pub request_id: Option<String>,
    /// The text of a JSON object: what it was; of an update, what differs.
    pub before: Option<String>,
    /// The text of a JSON object: what it became; of an update, what differs.
    pub after: Option<String>,
}

impl Engine {
    /// What admins changed, newest first: a record for each thing that a change concerned.
    ///
    /// # Errors
    /// [`Unavailable::Store`] if the records could not be read.
    pub async fn changes(&self, query: ChangesQuery) -> Result<Vec<ChangeView>, Unavailable> {
        let before = query.before.map(|ChangeId(no)| no);
        let query = keypool_store::ChangesQuery { limit: query.limit, before };
        let rows = self.shared.store.list_changes(query).await.map_err(|error| {
            report(&error, "the record of changes could not be read");
            Unavailable::Store
        })?;
        Ok(rows.into_iter().map(ChangeView::from).collect())
    }
}

impl fmt::Display for ChangeId {
    /// Sixteen hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ChangeId {
    type Err = ChangeIdError;

    fn from_str(text: &str) -> Result<Self, ChangeIdError> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ChangeIdError);
        }
        i64::from_str_radix(text, 16).map(Self).map_err(|_| ChangeIdError)
    }
}

impl From<ChangeRow> for ChangeView {
    fn from(row: ChangeRow) -> Self {
        Self {
            id: ChangeId(row.no),
            at: row.at,
            what: row.what,
            id_of: row.id_of,
            name: row.name,
            from: row.from,
            request_id: row.request_id,
            before: row.before,
            after: row.after,
        }
    }
}
