//! The audit: usage events as they are listed, newest first, under the names that their keys and consumers had.
//!
//! Events have no index but their ids, which are ordered by time, and the chain of each key. Whatever else is asked for is
//! looked for piece by piece: no statement runs for long, and between two of them others have their turn.

mod pieces;
pub(crate) mod scans;
pub(crate) mod summary;
#[cfg(test)]
mod tests;

use keypool_core::{GrantId, Timestamp};

pub(crate) use self::pieces::usage_row;
use self::pieces::{Piece, read_piece};
use self::scans::Scans;
use crate::driver::Driver;
use crate::error::StoreError;

/// Which usage events to list: those that meet all that is given. What names nothing that ever was is met by none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// At most so many.
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

/// The ids of the events from `since` on and before `until`: from the first number on, below the second.
fn ids_between(since: Option<Timestamp>, until: Option<Timestamp>) -> (i64, i64) {
    (since.map_or(0, first_id_at), until.map_or(i64::MAX, first_id_at))
}

/// The smallest id that an event of this moment or a later one can have.
pub(crate) fn first_id_at(at: Timestamp) -> i64 {
    if at > GrantId::LAST_AT { i64::MAX } else { at.as_millis().max(0) << 21 }
}

pub(crate) async fn list_usage(
    driver: &Driver,
    scans: &Scans,
    query: &UsageQuery,
) -> Result<Vec<UsageRow>, StoreError> {
    let mut found = Vec::new();
    if query.limit == 0 {
        return Ok(found);
    }
    let (since, until) = ids_between(query.since, query.until);
    let before = query.before.map_or(until, |before| until.min(before.get()));
    let looks = &scans.looks;
    let takes_any = query.consumer.is_none() && query.feature.is_none();
    let look = if takes_any { query.limit } else { query.limit.max(looks.first) };
    let mut piece = Piece { since, before, place: None, look, most: query.limit };
    let mut scan = None;
    loop {
        let _turn = scans::turn(scan.as_ref()).await;
        let next = read_piece(driver, query, &piece, &mut found).await.map_err(StoreError::Read)?;
        let missing = query.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        if next.is_none() || missing == 0 {
            return Ok(found);
        }
        let look = if query.key.is_some() { looks.walk } else { looks.further };
        piece = Piece { place: next, look, most: missing, ..piece };
        if scan.is_none() {
            scan = Some(scans.begin()?);
        }
    }
}
