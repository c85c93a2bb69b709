//! Lists what is odd in a version 1 database, so that the log can tell what becomes of it.

use crate::driver::{DriverError, Statement};
use crate::migrate::with_moments;
use crate::prospect::Source;

/// A row, or some rows, of a version 1 database that are kept but not as they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// What is odd about it, and what it means from now on.
    pub what: String,
    /// The table that holds it.
    pub table: String,
    /// Its id, or its parent's; empty where it has none.
    pub id: String,
    /// Its name; empty where it has none.
    pub name: String,
}

/// Lists them.
pub(crate) async fn list_oddities(source: &mut Source) -> Result<Vec<Oddity>, DriverError> {
    let rows = source.read(Statement::long(with_moments(include_str!("oddities.sql")))).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Oddity { what: row.text()?, table: row.text()?, id: row.text()?, name: row.text()? })
        })
        .collect()
}
