//! Consumers and their scopes.

use std::fmt;

use keypool_core::{ConsumerNo, TierNo};

use super::{Stamp, json};
use crate::driver::Statement;

/// A consumer to be added. Prints no token digest.
#[derive(Clone, PartialEq, Eq)]
pub struct NewConsumer {
    /// Its number.
    pub no: ConsumerNo,
    /// Its UUID.
    pub id: String,
    /// Its name, unlike that of every other consumer.
    pub name: String,
    /// Its description.
    pub description: String,
    /// The lower-case hex of its token's SHA-256.
    pub token_hash: String,
    /// The tiers that it may draw from.
    pub scopes: Vec<TierNo>,
}

impl fmt::Debug for NewConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewConsumer")
            .field("no", &self.no)
            .field("id", &self.id)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

pub(super) fn add(write: &mut Vec<Statement>, consumer: &NewConsumer, stamp: Stamp) {
    let sql = "INSERT INTO consumers (consumer_no, consumer_uuid, name, description, token_digest, is_active, created_ms,
            revision)
        VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7)";
    write.push(
        Statement::new(sql)
            .with(consumer.no.get())
            .with(consumer.id.as_str())
            .with(consumer.name.as_str())
            .with(consumer.description.as_str())
            .with(consumer.token_hash.as_str())
            .with(stamp.at.as_millis())
            .with(stamp.revision)
            .touching(1),
    );
    add_scopes(write, consumer.no, &consumer.scopes);
}

/// The admin's row, number 0, is never deleted.
pub(super) fn delete(write: &mut Vec<Statement>, no: ConsumerNo, stamp: Stamp) {
    let bury =
        "UPDATE consumers SET deleted_ms = ?2, token_digest = NULL, is_active = 0, revision = ?3
        WHERE consumer_no = ?1 AND consumer_no <> 0 AND deleted_ms IS NULL";
    let bury = Statement::new(bury).with(no.get()).with(stamp.at.as_millis());
    write.push(bury.with(stamp.revision).touching(1));
    write.push(Statement::new("DELETE FROM consumer_scopes WHERE consumer_no = ?1").with(no.get()));
}

/// Marks a consumer as changed: its scopes are about to be.
pub(super) fn touch(write: &mut Vec<Statement>, no: ConsumerNo, stamp: Stamp) {
    let sql = "UPDATE consumers SET revision = ?2 WHERE consumer_no = ?1 AND deleted_ms IS NULL";
    write.push(Statement::new(sql).with(no.get()).with(stamp.revision).touching(1));
}

pub(super) fn add_scopes(write: &mut Vec<Statement>, consumer: ConsumerNo, tiers: &[TierNo]) {
    let numbers: Vec<_> = tiers.iter().map(|tier| tier.get()).collect();
    let sql = "INSERT INTO consumer_scopes (consumer_no, tier_no)
        SELECT ?1, value FROM json_each(?2) WHERE 1 ON CONFLICT DO NOTHING";
    write.push(Statement::new(sql).with(consumer.get()).with(json(&numbers)));
}

pub(super) fn remove_scope(write: &mut Vec<Statement>, consumer: ConsumerNo, tier: TierNo) {
    let sql = "DELETE FROM consumer_scopes WHERE consumer_no = ?1 AND tier_no = ?2";
    write.push(Statement::new(sql).with(consumer.get()).with(tier.get()));
}
