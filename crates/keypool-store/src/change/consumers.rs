//! Consumers, their tokens and their scopes.

use std::fmt;

use keypool_core::{ConsumerNo, TierNo, Timestamp};

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
    /// The moment from which it is nobody.
    pub expires_at: Option<Timestamp>,
    /// The tiers that it may draw from.
    pub scopes: Vec<TierNo>,
}

/// What is to be replaced of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerUpdate {
    /// The consumer.
    pub no: ConsumerNo,
    /// Its new name, unlike that of every other consumer.
    pub name: Option<String>,
    /// Its new description.
    pub description: Option<String>,
    /// Whether its tokens are accepted from now on.
    pub active: Option<bool>,
    /// The moment from which it is nobody; `Some(None)` is never.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A consumer's next token. Prints no digest.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The consumer.
    pub consumer: ConsumerNo,
    /// The lower-case hex of the token's SHA-256.
    pub token_hash: String,
    /// How long those before it may still work, in seconds.
    pub overlap_secs: i64,
}

impl NewToken {
    /// Until when those before it may still work, if it is issued now.
    #[must_use]
    pub fn overlap_until(&self, now: Timestamp) -> Timestamp {
        let overlap_ms = self.overlap_secs.saturating_mul(1_000);
        Timestamp::from_millis(now.as_millis().saturating_add(overlap_ms))
    }
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

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("consumer", &self.consumer)
            .field("overlap_secs", &self.overlap_secs)
            .finish_non_exhaustive()
    }
}

pub(super) fn add(write: &mut Vec<Statement>, consumer: &NewConsumer, stamp: Stamp) {
    let sql = "INSERT INTO consumers (consumer_no, consumer_uuid, name, description, token_digest, is_active, created_ms,
            token_issued_ms, expires_ms, revision)
        VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, ?8)";
    write.push(
        Statement::new(sql)
            .with(consumer.no.get())
            .with(consumer.id.as_str())
            .with(consumer.name.as_str())
            .with(consumer.description.as_str())
            .with(consumer.token_hash.as_str())
            .with(stamp.at.as_millis())
            .with(consumer.expires_at.map(Timestamp::as_millis))
            .with(stamp.revision)
            .touching(1),
    );
    add_scopes(write, consumer.no, &consumer.scopes);
}

pub(super) fn update(write: &mut Vec<Statement>, update: &ConsumerUpdate, stamp: Stamp) {
    let sql =
        "UPDATE consumers SET name = coalesce(?2, name), description = coalesce(?3, description),
            is_active = coalesce(?4, is_active), expires_ms = iif(?5, ?6, expires_ms), revision = ?7
        WHERE consumer_no = ?1 AND consumer_no <> 0 AND deleted_ms IS NULL";
    write.push(
        Statement::new(sql)
            .with(update.no.get())
            .with(update.name.as_deref())
            .with(update.description.as_deref())
            .with(update.active.map(i64::from))
            .with(i64::from(update.expires_at.is_some()))
            .with(update.expires_at.flatten().map(Timestamp::as_millis))
            .with(stamp.revision)
            .touching(1),
    );
}

/// The token in the consumer's row joins the former ones, if there is an overlap; none of these works for longer than that.
pub(super) fn issue_token(write: &mut Vec<Statement>, token: &NewToken, stamp: Stamp) {
    let (no, until_ms) = (token.consumer.get(), token.overlap_until(stamp.at).as_millis());
    let shorten = "UPDATE former_tokens SET until_ms = ?2 WHERE consumer_no = ?1 AND until_ms > ?2";
    write.push(Statement::new(shorten).with(no).with(until_ms));
    let set_aside = "INSERT INTO former_tokens (consumer_no, token_digest, until_ms)
        SELECT consumer_no, token_digest, ?2 FROM consumers WHERE consumer_no = ?1 AND token_digest IS NOT NULL";
    write.push(Statement::new(set_aside).with(no).with(until_ms));
    let forget = "DELETE FROM former_tokens WHERE consumer_no = ?1 AND until_ms <= ?2";
    write.push(Statement::new(forget).with(no).with(stamp.at.as_millis()));
    let replace = "UPDATE consumers SET token_digest = ?2, token_issued_ms = ?3, revision = ?4
        WHERE consumer_no = ?1 AND consumer_no <> 0 AND deleted_ms IS NULL";
    write.push(
        Statement::new(replace)
            .with(no)
            .with(token.token_hash.as_str())
            .with(stamp.at.as_millis())
            .with(stamp.revision)
            .touching(1),
    );
}

/// The admin's row, number 0, is never deleted.
pub(super) fn delete(write: &mut Vec<Statement>, no: ConsumerNo, stamp: Stamp) {
    let bury =
        "UPDATE consumers SET deleted_ms = ?2, token_digest = NULL, is_active = 0, revision = ?3
        WHERE consumer_no = ?1 AND consumer_no <> 0 AND deleted_ms IS NULL";
    let bury = Statement::new(bury).with(no.get()).with(stamp.at.as_millis());
    write.push(bury.with(stamp.revision).touching(1));
    for sql in [
        "DELETE FROM former_tokens WHERE consumer_no = ?1",
        "DELETE FROM consumer_scopes WHERE consumer_no = ?1",
    ] {
        write.push(Statement::new(sql).with(no.get()));
    }
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
