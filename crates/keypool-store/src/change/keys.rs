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
