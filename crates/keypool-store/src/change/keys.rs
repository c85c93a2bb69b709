//! Keys and the secrets that are bound to them.

use std::fmt;

use keypool_core::{KeyNo, TierNo, Timestamp};

use super::{Stamp, json_in_parts};
use crate::driver::Statement;

/// A key to be added. Prints no value.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its number.
    pub no: KeyNo,
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: TierNo,
    /// Its value, sealed or plain.
    pub value: String,
    /// The moment from which it is not granted any more.
    pub expires_at: Option<Timestamp>,
    /// The units of its budget.
    pub usage_limit: Option<i64>,
    /// The length of its budget's window, in seconds; only with a limit.
    pub usage_window_secs: Option<i64>,
    /// A JSON object, as it came in.
    pub metadata: String,
    /// Its secrets by name, sealed or plain.
    pub secrets: Vec<(String, String)>,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("no", &self.no)
            .field("id", &self.id)
            .field("name", &self.name)
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}

/// What a key is from now on. Prints no value.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyUpdate {
    /// The key.
    pub no: KeyNo,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: TierNo,
    /// Its value, sealed or plain; `None` stays as it is.
    pub value: Option<String>,
    /// Whether it may be granted at all.
    pub active: bool,
    /// The moment from which it is not granted any more.
    pub expires_at: Option<Timestamp>,
    /// The units of its budget.
    pub usage_limit: Option<i64>,
    /// The length of its budget's window, in seconds; only with a limit.
    pub usage_window_secs: Option<i64>,
    /// What becomes of its budget's count.
    pub balance: Balance,
    /// A JSON object, as it came in; `None` stays as it is.
    pub metadata: Option<String>,
    /// Secrets by name, sealed or plain, or `None` for one that is removed. Others stay.
    pub secrets: Vec<(String, Option<String>)>,
}

/// What becomes of the count of a key's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// It goes on, in the window under way.
    Kept,
    /// It goes on for life, as the budget has windows no more: with what is used in the window under way, or from 0 where
    /// none is.
    KeptForLife {
        /// The length of the windows that it had, in seconds.
        window_secs: i64,
    },
    /// It is so much, in the window under way, in one that opens for it, or for life.
    Struck(i64),
}

impl fmt::Debug for KeyUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyUpdate")
            .field("no", &self.no)
            .field("name", &self.name)
            .field("tier", &self.tier)
            .field("balance", &self.balance)
            .finish_non_exhaustive()
    }
}

/// However many keys they are, the rows go as a few JSON parameters.
pub(super) fn add(write: &mut Vec<Statement>, keys: &[NewKey], stamp: Stamp) {
    let row = |key: &NewKey| {
        let expires_ms = key.expires_at.map(Timestamp::as_millis);
        let (limit, window) = (key.usage_limit, key.usage_window_secs);
        serde_json::json!([
            key.no.get(),
            key.id,
            key.name,
            key.tier.get(),
            key.value,
            expires_ms,
            limit,
            window,
            key.metadata
        ])
    };
    let sql = "INSERT INTO keys (key_no, key_uuid, name, tier_no, key_value, is_active, expires_ms, usage_limit,
            usage_window_secs, metadata, created_ms, revision)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 1, value ->> 5, value ->> 6,
            value ->> 7, value ->> 8, ?2, ?3
        FROM json_each(?1)";
    for (rows, count) in json_in_parts(keys.iter().map(row)) {
        let insert = Statement::new(sql).with(rows).with(stamp.at.as_millis());
        write.push(insert.with(stamp.revision).touching(count));
    }

    let sql = "INSERT INTO budget_counters (key_no, used, window_start_ms, opening, opening_after)
        SELECT value, 0, NULL, 0, 0 FROM json_each(?1)";
    for (numbers, count) in json_in_parts(keys.iter().map(|key| key.no.get())) {
        write.push(Statement::new(sql).with(numbers).touching(count));
    }

    let secrets = keys
        .iter()
        .flat_map(|key| key.secrets.iter().map(|(name, value)| (key.no.get(), name, value)));
    let sql = "INSERT INTO key_secrets (key_no, name, value)
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)";
    for (secrets, count) in json_in_parts(secrets) {
        write.push(Statement::new(sql).with(secrets).touching(count));
    }
}

/// Counters are changed by the database's own rows: others may have counted meanwhile.
pub(super) fn update(write: &mut Vec<Statement>, key: &KeyUpdate, stamp: Stamp) {
    let sql = "UPDATE keys SET name = ?2, tier_no = ?3, key_value = coalesce(?4, key_value), is_active = ?5,
            expires_ms = ?6, usage_limit = ?7, usage_window_secs = ?8, metadata = coalesce(?9, metadata),
            revision = ?10
        WHERE key_no = ?1 AND deleted_ms IS NULL";
    let update = Statement::new(sql)
        .with(key.no.get())
        .with(key.name.as_str())
        .with(key.tier.get())
        .with(key.value.as_deref())
        .with(i64::from(key.active))
        .with(key.expires_at.map(Timestamp::as_millis))
        .with(key.usage_limit)
        .with(key.usage_window_secs)
        .with(key.metadata.as_deref())
        .with(stamp.revision);
    write.push(update.touching(1));
    write.extend(balance(key, stamp));

    let (set, removed): (Vec<_>, Vec<_>) =
        key.secrets.iter().partition(|(_, value)| value.is_some());
    let sql =
        "DELETE FROM key_secrets WHERE key_no = ?1 AND name IN (SELECT value FROM json_each(?2))";
    for (names, _) in json_in_parts(removed.iter().map(|(name, _)| name)) {
        write.push(Statement::new(sql).with(key.no.get()).with(names));
    }
    let sql = "INSERT INTO key_secrets (key_no, name, value)
        SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) WHERE 1
        ON CONFLICT (key_no, name) DO UPDATE SET value = excluded.value";
    for (secrets, count) in json_in_parts(set) {
        write.push(Statement::new(sql).with(key.no.get()).with(secrets).touching(count));
    }
}

/// A balance is struck after the newest event: what is decided anew because of this change comes behind it.
fn balance(key: &KeyUpdate, stamp: Stamp) -> Option<Statement> {
    let (no, at) = (key.no.get(), stamp.at.as_millis());
    let statement = match key.balance {
        Balance::Kept => return None,
        Balance::KeptForLife { window_secs } => {
            let sql = "UPDATE budget_counters SET window_start_ms = NULL,
                    used = iif(window_start_ms + ?2 * 1000 > ?3, used, 0),
                    opening = iif(window_start_ms + ?2 * 1000 > ?3, opening, 0),
                    opening_after =
                        iif(window_start_ms + ?2 * 1000 > ?3, opening_after, coalesce(newest_event, 0))
                WHERE key_no = ?1";
            Statement::new(sql).with(no).with(window_secs).with(at)
        }
        Balance::Struck(count) => {
            let sql = "UPDATE budget_counters SET used = ?4, opening = ?4,
                    opening_after = coalesce(newest_event, 0),
                    window_start_ms = CASE
                        WHEN ?2 IS NULL THEN NULL
                        WHEN window_start_ms + ?2 * 1000 > ?3 THEN window_start_ms
                        WHEN ?4 > 0 THEN ?3
                        END
                WHERE key_no = ?1";
            Statement::new(sql).with(no).with(key.usage_window_secs).with(at).with(count)
        }
    };
    Some(statement.touching(1))
}

/// The row stays as a tombstone; whatever was secret in it, or counted for it, goes.
pub(super) fn delete(write: &mut Vec<Statement>, no: KeyNo, stamp: Stamp) {
    let bury = "UPDATE keys SET deleted_ms = ?2, key_value = NULL, metadata = NULL, is_active = 0, revision = ?3
        WHERE key_no = ?1 AND deleted_ms IS NULL";
    let bury = Statement::new(bury).with(no.get()).with(stamp.at.as_millis());
    write.push(bury.with(stamp.revision).touching(1));
    for sql in [
        "DELETE FROM key_secrets WHERE key_no = ?1",
        "DELETE FROM rate_counters WHERE key_no = ?1",
        // The row stays: its events are found from it.
        "UPDATE budget_counters SET used = 0, window_start_ms = NULL, opening = 0,
            opening_after = coalesce(newest_event, 0)
        WHERE key_no = ?1",
    ] {
        write.push(Statement::new(sql).with(no.get()));
    }
}
