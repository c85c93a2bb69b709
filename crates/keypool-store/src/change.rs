//! An admin change: what it is, and the write that it becomes. Every change raises the pool's revision first; where
//! that touches no row, it was decided on a state that is no more. Rows that it touches carry the new revision.

mod consumers;
mod keys;
mod tiers;

use std::sync::Arc;

use keypool_core::{ConsumerNo, KeyNo, TierNo, Timestamp};

pub use self::consumers::{ConsumerUpdate, NewConsumer, NewToken};
pub use self::keys::{Balance, KeyUpdate, NewKey};
pub use self::tiers::{NewTier, TierUpdate};
use crate::draws::Sender;
use crate::driver::Statement;
use crate::migrate::NEWEST;
use crate::record::{self, ChangeRecord, Origin};

/// The longest parameter that rows are put into together, in bytes: a libSQL database takes it as a part of the
/// statement's text, which may not be longer than 1,000,000.
pub(crate) const LONGEST_ROWS: usize = 250_000;

/// One admin change, applied whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision that it was decided on; it becomes one more.
    pub base: i64,
    /// When.
    pub at: Timestamp,
    /// Who made it.
    pub origin: Origin,
    /// What.
    pub what: ChangeKind,
    /// What is kept of it, a record for each thing that it concerns.
    pub records: Arc<[ChangeRecord]>,
}

/// What an admin can change. Numbers are the caller's choice: one above the highest ever given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Adds a tier.
    AddTier(NewTier),
    /// Replaces what is given of a tier.
    UpdateTier(TierUpdate),
    /// Leaves of a tier that holds no key only its number, UUID and name; the scopes on it go.
    DeleteTier(TierNo),
    /// Adds keys, all or none.
    AddKeys(Vec<NewKey>),
    /// Changes a key.
    UpdateKey(Box<KeyUpdate>),
    /// Leaves of a key only what the audit needs: number, UUID and name.
    DeleteKey(KeyNo),
    /// Adds a consumer.
    AddConsumer(NewConsumer),
    /// Replaces what is given of a consumer.
    UpdateConsumer(ConsumerUpdate),
    /// Gives a consumer another token. Those before it work for the overlap at most.
    IssueToken(NewToken),
    /// Leaves of a consumer only what the audit needs; its tokens and scopes go.
    DeleteConsumer(ConsumerNo),
    /// Lets a consumer draw from a tier; twice is harmless.
    AddScope {
        /// The consumer.
        consumer: ConsumerNo,
        /// The tier.
        tier: TierNo,
    },
    /// Ends that; twice is harmless.
    RemoveScope {
        /// The consumer.
        consumer: ConsumerNo,
        /// The tier.
        tier: TierNo,
    },
    /// Changes nothing of the pool: what was done in other writes is put on record.
    RecordOnly,
}

impl Change {
    /// The write: the revision first, so that a stale change is told from every other failure.
    pub(crate) fn statements(&self, id: &str, sender: Option<Sender>) -> Vec<Statement> {
        let revision = self.base.saturating_add(1);
        let mut write = vec![raise(self.base, sender)];
        record::write(&mut write, (revision, id, self.at), &self.origin, &self.records);
        let stamp = Stamp { revision, at: self.at };
        match &self.what {
            ChangeKind::AddTier(tier) => tiers::add(&mut write, tier, stamp),
            ChangeKind::UpdateTier(update) => tiers::update(&mut write, update, stamp),
            ChangeKind::DeleteTier(no) => tiers::delete(&mut write, *no, stamp),
            ChangeKind::AddKeys(new) => keys::add(&mut write, new, stamp),
            ChangeKind::UpdateKey(key) => keys::update(&mut write, key, stamp),
            ChangeKind::DeleteKey(no) => keys::delete(&mut write, *no, stamp),
            ChangeKind::AddConsumer(consumer) => consumers::add(&mut write, consumer, stamp),
            ChangeKind::UpdateConsumer(update) => consumers::update(&mut write, update, stamp),
            ChangeKind::IssueToken(token) => consumers::issue_token(&mut write, token, stamp),
            ChangeKind::DeleteConsumer(no) => consumers::delete(&mut write, *no, stamp),
            ChangeKind::AddScope { consumer, tier } => {
                consumers::touch(&mut write, *consumer, stamp);
                consumers::add_scopes(&mut write, *consumer, &[*tier]);
            }
            ChangeKind::RemoveScope { consumer, tier } => {
                consumers::touch(&mut write, *consumer, stamp);
                consumers::remove_scope(&mut write, *consumer, *tier);
            }
            ChangeKind::RecordOnly => {}
        }
        write
    }
}

/// What every change begins with: the next revision. It touches no row where the base or the schema is another, or where the
/// sender is fenced off.
pub(crate) fn raise(base: i64, sender: Option<Sender>) -> Statement {
    let raise = "UPDATE pool SET revision = revision + 1
        WHERE revision = ?1 AND (SELECT max(version) FROM schema_migrations) = ?2
            AND (SELECT fence FROM replicas WHERE replica_no = ?3) IS ?4";
    let (replica, fence) = (sender.map(|it| it.replica), sender.map(|it| it.fence));
    Statement::new(raise).with(base).with(NEWEST).with(replica).with(fence).touching(1)
}

/// What a row carries of the change that touches it.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    revision: i64,
    at: Timestamp,
}

/// Rows as JSON arrays with their lengths, each no longer than it may be (but of one row at least).
pub(crate) fn json_in_parts<T: serde::Serialize>(
    rows: impl IntoIterator<Item = T>,
) -> Vec<(String, usize)> {
    let mut parts: Vec<(String, usize)> = Vec::new();
    for row in rows {
        let row = serde_json::to_string(&row).expect("texts and numbers become JSON");
        match parts.last_mut() {
            Some((part, count)) if part.len() + row.len() < LONGEST_ROWS => {
                part.push(',');
                part.push_str(&row);
                *count += 1;
            }
            _ => parts.push((format!("[{row}"), 1)),
        }
    }
    parts.iter_mut().for_each(|(part, _)| part.push(']'));
    parts
}

/// Rows as a JSON array, to be one parameter.
fn json<T: serde::Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("texts and numbers become JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_together_as_far_as_they_may() {
        assert!(json_in_parts::<i64>([]).is_empty());
        assert_eq!(json_in_parts([(1, "a"), (2, "b")]), [("[[1,\"a\"],[2,\"b\"]]".to_owned(), 2)]);
        let long = "x".repeat(100_000);
        let parts = json_in_parts([&long, &long, &long]);
        assert_eq!(parts.iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [2, 1]);
        assert!(parts.iter().all(|(part, _)| part.len() <= LONGEST_ROWS));
    }
}
