//! The record of admin changes: what is kept of each thing that a change concerns, written with the change, and how it
//! is listed, newest first. Nothing here is secret: whoever makes a record leaves that out.

use std::sync::Arc;

use keypool_core::Timestamp;

use crate::change::json_in_parts;
use crate::driver::{Driver, DriverError, Row, Statement};

/// Who made a change, as it is put on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    from: Option<Arc<str>>,
    request_id: Option<Arc<str>>,
}

impl Origin {
    /// A request from this address or the like, where it is known, under this id.
    #[must_use]
    pub fn request(from: Option<&str>, request_id: &str) -> Origin {
        Origin { from: from.map(Arc::from), request_id: Some(request_id.into()) }
    }

    /// A command of the binary, by its name, such as `keypooler import`.
    #[must_use]
    pub fn command(name: &str) -> Origin {
        Origin { from: Some(name.into()), request_id: None }
    }
}

/// What is kept of one thing that a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// What was done, as a stable word such as `add_key`.
    pub what: &'static str,
    /// The UUID of the thing.
    pub id_of: Arc<str>,
    /// The name that it has after the change, or had.
    pub name: Arc<str>,
    /// A JSON object of what it was; none of what is new.
    pub before: Option<String>,
    /// A JSON object of what it is now; none of what is gone.
    pub after: Option<String>,
}

/// Which records to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangesQuery {
    /// At most so many.
    pub limit: u32,
    /// Only those older than this one.
    pub before: Option<i64>,
}

/// One record as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its number; later ones are higher.
    pub no: i64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub what: String,
    /// The UUID of the thing.
    pub id_of: String,
    /// Its name.
    pub name: String,
    /// The address that it was asked from, or the command.
    pub from: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// A JSON object of what the thing was.
    pub before: Option<String>,
    /// A JSON object of what it became.
    pub after: Option<String>,
}

/// The revision's own row, and one for each record.
pub(crate) fn write(
    write: &mut Vec<Statement>,
    (revision, id, at): (i64, &str, Timestamp),
    origin: &Origin,
    records: &[ChangeRecord],
) {
    let sql = "INSERT INTO changes (revision, change_id, at_ms, origin, request_id)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let change = Statement::new(sql).with(revision).with(id).with(at.as_millis());
    let change = change.with(origin.from.as_deref()).with(origin.request_id.as_deref());
    write.push(change.touching(1));

    let row = |it: &ChangeRecord| {
        serde_json::json!([it.what, &*it.id_of, &*it.name, it.before, it.after])
    };
    let sql = "INSERT INTO change_records (revision, what, id_of, name, before, after)
        SELECT ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) ORDER BY key";
    for (rows, count) in json_in_parts(records.iter().map(row)) {
        write.push(Statement::new(sql).with(rows).with(revision).touching(count));
    }
}

const LIST: &str = "
    SELECT r.record_no, c.at_ms, r.what, r.id_of, r.name, c.origin, c.request_id, r.before, r.after
    FROM change_records AS r CROSS JOIN changes AS c USING (revision)
    WHERE r.record_no < ?1
    ORDER BY r.record_no DESC LIMIT ?2";

pub(crate) async fn list_changes(
    driver: &Driver,
    query: ChangesQuery,
) -> Result<Vec<ChangeRow>, DriverError> {
    let before = query.before.unwrap_or(i64::MAX);
    let statement = Statement::long(LIST).with(before).with(i64::from(query.limit));
    driver.read(statement).await?.into_iter().map(change_row).collect()
}

fn change_row(mut row: Row) -> Result<ChangeRow, DriverError> {
    Ok(ChangeRow {
        no: row.int()?,
        at: Timestamp::from_millis(row.int()?),
        what: row.text()?,
        id_of: row.text()?,
        name: row.text()?,
        from: row.text_or_null()?,
        request_id: row.text_or_null()?,
        before: row.text_or_null()?,
        after: row.text_or_null()?,
    })
}
