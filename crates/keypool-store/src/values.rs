//! Values as they are stored, sealed or plain: of living keys, of the secrets bound to them, and of secrets that were taken
//! over and belong to nothing. Knows where they stand, not what they say.

use std::fmt;

use crate::driver::{DriverError, Row, Statement};
use crate::recognise::Shape;

/// A sealed or plain value. Prints no value.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// The key's UUID.
    pub key: String,
    /// The key's name.
    pub name: String,
    /// The bound secret's name; `None` for the key's own value.
    pub secret: Option<String>,
    /// What is stored.
    pub text: String,
    /// The number of the orphan that it is, if it belongs to nothing.
    pub orphan: Option<i64>,
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredValue")
            .field("key", &self.key)
            .field("name", &self.name)
            .field("secret", &self.secret)
            .field("orphan", &self.orphan)
            .finish_non_exhaustive()
    }
}

const ORIGINAL: &str = "
    SELECT coalesce(CAST(id AS TEXT), ''), CAST(name AS TEXT), NULL, CAST(key_value AS TEXT), NULL FROM keys
    UNION ALL
    SELECT CAST(s.key_id AS TEXT), CAST(k.name AS TEXT), CAST(s.name AS TEXT), CAST(s.value AS TEXT), NULL
    FROM key_secrets AS s JOIN keys AS k ON CAST(k.id AS TEXT) = CAST(s.key_id AS TEXT)";

const LIVING: &str = "
    SELECT key_uuid, name, NULL, key_value, NULL FROM keys WHERE deleted_ms IS NULL
    UNION ALL
    SELECT k.key_uuid, k.name, s.name, s.value, NULL FROM key_secrets AS s JOIN keys AS k USING (key_no)
    WHERE k.deleted_ms IS NULL";

/// Those of the original that belong to nothing: the takeover sets them aside.
const ORIGINAL_ORPHANED: &str = "
    SELECT coalesce(CAST(s.key_id AS TEXT), ''), '', coalesce(CAST(s.name AS TEXT), ''), CAST(s.value AS TEXT), 0
    FROM key_secrets AS s
    WHERE s.value IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM keys AS k WHERE CAST(k.id AS TEXT) = CAST(s.key_id AS TEXT))";

/// What the takeover sets aside of a secret whose key is missing, or that has a namesake.
const ORPHANED: &str = "
    SELECT coalesce(original ->> 'key_id', ''), '', coalesce(original ->> 'name', ''), original ->> 'value', orphan_no
    FROM orphans WHERE source = 'key_secrets' AND json_type(original, '$.value') = 'text'";

/// Those of living keys; none where the database is empty.
pub(crate) fn living(shape: Shape) -> Option<Statement> {
    match shape {
        Shape::Empty => None,
        Shape::Version(1) => Some(Statement::long(ORIGINAL)),
        Shape::Version(_) => Some(Statement::long(LIVING)),
    }
}

/// Those that belong to nothing.
pub(crate) fn orphaned(shape: Shape) -> Option<Statement> {
    match shape {
        Shape::Empty => None,
        Shape::Version(1) => Some(Statement::long(ORIGINAL_ORPHANED)),
        Shape::Version(_) => Some(Statement::long(ORPHANED)),
    }
}

/// All, in a database of today's schema.
pub(crate) fn all() -> [Statement; 2] {
    [LIVING, ORPHANED].map(Statement::long)
}

/// The rows of these.
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<StoredValue>, DriverError> {
    let value = |mut row: Row| {
        Ok(StoredValue {
            key: row.text()?,
            name: row.text()?,
            secret: row.text_or_null()?,
            text: row.text()?,
            orphan: row.int_or_null()?,
        })
    };
    rows.into_iter().map(value).collect()
}
