//! New seals in the place of old ones: a few at a time, each only where the old one still stands; and at the end the database
//! rewritten, so that nothing of the old ones is left in its file.

use std::fmt;

use keypool_core::Timestamp;

use crate::change::{json_in_parts, raise};
use crate::draws::Sender;
use crate::driver::Statement;
use crate::error::{StoreError, WriteError};
use crate::record::{self, ChangeRecord, Origin};
use crate::store::Store;
use crate::values::{self, StoredValue};

/// Values that get a new seal, together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealing {
    /// The revision of the pool; it becomes one more.
    pub base: i64,
    /// When.
    pub at: Timestamp,
    /// Who does it.
    pub origin: Origin,
    /// The values. One that is not what it was any more stays as it is.
    pub values: Vec<NewSeal>,
}

/// A value that gets a new seal. Prints neither.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSeal {
    /// The value as it is stored.
    pub old: StoredValue,
    /// What is stored in its place.
    pub text: String,
}

impl fmt::Debug for NewSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSeal").field("old", &self.old).finish_non_exhaustive()
    }
}

const KEYS: &str = "
    UPDATE keys SET key_value = seal.new, revision = ?2
    FROM (SELECT value ->> 0 AS key_uuid, value ->> 1 AS old, value ->> 2 AS new FROM json_each(?1)) AS seal
    WHERE keys.key_uuid = seal.key_uuid AND keys.key_value = seal.old";

const SECRETS: &str = "
    UPDATE key_secrets SET value = seal.new
    FROM (
        SELECT (SELECT key_no FROM keys WHERE key_uuid = e.value ->> 0) AS key_no,
            e.value ->> 1 AS name, e.value ->> 2 AS old, e.value ->> 3 AS new
        FROM json_each(?1) AS e
    ) AS seal
    WHERE key_secrets.key_no = seal.key_no AND key_secrets.name = seal.name AND key_secrets.value = seal.old";

const KEYS_OF_SECRETS: &str = "
    UPDATE keys SET revision = ?2 WHERE key_uuid IN (SELECT value ->> 0 FROM json_each(?1))";

const ORPHANS: &str = "
    UPDATE orphans SET original = json_set(original, '$.value', seal.new)
    FROM (SELECT value ->> 0 AS orphan_no, value ->> 1 AS old, value ->> 2 AS new FROM json_each(?1)) AS seal
    WHERE orphans.orphan_no = seal.orphan_no AND original ->> 'value' = seal.old";

impl Resealing {
    pub(crate) fn statements(&self, id: &str, sender: Option<Sender>) -> Vec<Statement> {
        let revision = self.base.saturating_add(1);
        let mut write = vec![raise(self.base, sender)];
        record::write(&mut write, (revision, id, self.at), &self.origin, &[self.record()]);

        let (mut keys, mut secrets, mut orphans) = (Vec::new(), Vec::new(), Vec::new());
        for NewSeal { old, text } in &self.values {
            let (key, old_text) = (&old.key, &old.text);
            match (old.orphan, &old.secret) {
                (Some(orphan), _) => orphans.push((orphan, old_text, text)),
                (None, None) => keys.push((key, old_text, text)),
                (None, Some(name)) => secrets.push((key, name, old_text, text)),
            }
        }
        for (rows, _) in json_in_parts(keys) {
            write.push(Statement::new(KEYS).with(rows).with(revision));
        }
        for (rows, _) in json_in_parts(secrets) {
            write.push(Statement::new(SECRETS).with(rows.clone()));
            write.push(Statement::new(KEYS_OF_SECRETS).with(rows).with(revision));
        }
        for (rows, _) in json_in_parts(orphans) {
            write.push(Statement::new(ORPHANS).with(rows));
        }
        write
    }

    fn record(&self) -> ChangeRecord {
        ChangeRecord {
            what: "reseal_values",
            id_of: "".into(),
            name: "".into(),
            before: None,
            after: Some(format!("{{\"values\":{}}}", self.values.len())),
        }
    }
}

impl Store {
    /// Puts new seals in the place of old ones, in one transaction, and raises the revision by one.
    ///
    /// # Errors
    /// As for [`Store::change`].
    pub async fn reseal(&self, resealing: &Resealing) -> Result<(), WriteError> {
        let statements = |id: &str, sender| resealing.statements(id, sender);
        self.raise_revision(resealing.base, statements).await
    }

    /// The value of every living key, every secret bound to one, and every secret that belongs to nothing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn stored_values(&self) -> Result<Vec<StoredValue>, StoreError> {
        let mut all = Vec::new();
        for statement in values::all() {
            let rows = self.driver.read(statement).await.map_err(StoreError::Read)?;
            all.extend(values::read(rows).map_err(StoreError::Read)?);
        }
        Ok(all)
    }

    /// Leaves nothing of values that were replaced in the database's file and its journal, beside whoever serves it.
    ///
    /// `secure_delete` wipes what is deleted, but where `SQLite` moves rows to another page their bytes stay in the gap that
    /// they leave: so the tables that hold values are written anew, each in one transaction, whose old pages are wiped
    /// whole. Then the journal is folded in and cut off. A libSQL server keeps its files to itself: there nothing is done.
    ///
    /// # Errors
    /// It was not done, or not to the end: the journal can't be cut off while somebody reads without a pause.
    pub async fn wipe_remains(&self) -> Result<(), StoreError> {
        self.driver.wipe_remains(&TABLES_WITH_VALUES).await.map_err(StoreError::Write)
    }
}

/// Each with its columns by their order.
const TABLES_WITH_VALUES: [&str; 3] = [
    "CREATE TEMP TABLE moving AS SELECT * FROM keys; DELETE FROM keys; INSERT INTO keys SELECT * FROM moving;
    DROP TABLE moving;",
    "CREATE TEMP TABLE moving AS SELECT * FROM key_secrets; DELETE FROM key_secrets;
    INSERT INTO key_secrets SELECT * FROM moving; DROP TABLE moving;",
    "CREATE TEMP TABLE moving AS SELECT * FROM orphans; DELETE FROM orphans; INSERT INTO orphans SELECT * FROM moving;
    DROP TABLE moving;",
];
