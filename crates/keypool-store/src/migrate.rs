//! The numbered migrations: embedded, forward only, each in one transaction that records itself.

use std::path::Path;

use crate::driver::{DriverError, Statement};
use crate::error::OpenStoreError;
use crate::prospect::look;
use crate::recognise::Shape;
use crate::sqlite::Sqlite;

/// A migration: its text ends by recording its number and name in `schema_migrations`.
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// All of them, in order.
pub(crate) const MIGRATIONS: [Migration; 3] = [
    Migration {
        version: 1,
        name: "init",
        text: include_str!("../../../migrations/0001_original.sql"),
    },
    Migration {
        version: 2,
        name: "keypooler",
        text: include_str!("../../../migrations/0002_keypooler.sql"),
    },
    Migration {
        version: 3,
        name: "chained_events",
        text: include_str!("../../../migrations/0003_chained_events.sql"),
    },
];

/// The newest version that this program knows.
pub(crate) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// The view through which a takeover reads the moments of version 1: the first statement of migration 2, made
/// temporary so that it can be asked before anything is changed.
pub(crate) fn moments_view() -> String {
    let text = MIGRATIONS[1].text;
    let start = text.find("CREATE VIEW").expect("migration 2 begins with the view of moments");
    let end = text.find(";\n\n").expect("the view of moments ends before the next statement");
    let view = text.get(start..end).expect("the view of moments is one statement");
    view.replacen("CREATE VIEW", "CREATE TEMP VIEW", 1)
}

/// Brings a database from the version it has to the newest, one transaction a step.
pub(crate) async fn migrate(
    path: &Path,
    driver: &Sqlite,
    shape: Shape,
) -> Result<(), OpenStoreError> {
    for migration in pending(shape) {
        let version = migration.version;
        let failed = |source| OpenStoreError::Migration { path: path.to_owned(), version, source };
        driver.script(migration.text).await.map_err(failed)?;
        tracing::info!(path = %path.display(), version, "the database was brought to this schema version");
    }
    tidy(driver).await.map_err(|source| OpenStoreError::Tidy { path: path.to_owned(), source })
}

/// Ends an upgrade: nothing of the old rows stays in the file or its journal. An end that was interrupted is made up
/// for at the next start.
async fn tidy(driver: &Sqlite) -> Result<(), DriverError> {
    let due = driver.read(Statement::new("SELECT tidy_due FROM pool")).await?;
    if due.into_iter().next().map(|mut row| row.int()).transpose()? != Some(1) {
        return Ok(());
    }
    driver.tidy().await?;
    driver.write(vec![Statement::new("UPDATE pool SET tidy_due = 0").touching(1)]).await
}

fn pending(shape: Shape) -> impl Iterator<Item = &'static Migration> {
    let have = match shape {
        Shape::Empty => 0,
        Shape::Version(version) => i64::from(version),
    };
    MIGRATIONS.iter().filter(move |migration| migration.version > have)
}

/// A migration that a database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// When it was applied, UTC, as SQLite writes it.
    pub applied_at: String,
}

/// A migration that the next start would apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMigration {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
}

/// How far a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// What it is.
    pub shape: Shape,
    /// What it has.
    pub applied: Vec<AppliedMigration>,
    /// What it lacks.
    pub pending: Vec<PendingMigration>,
}

/// Says how far the database at this path is. Changes nothing and takes no lock; a file that does not exist is empty.
///
/// # Errors
/// The file cannot be read, or is no database of keypooler.
pub async fn schema_status(path: impl AsRef<Path>) -> Result<SchemaStatus, OpenStoreError> {
    let path = path.as_ref();
    let mut applied = Vec::new();
    let mut shape = Shape::Empty;
    if path.try_exists().map_err(|source| OpenStoreError::File { path: path.to_owned(), source })? {
        let (mut connection, found) = look(path).await?;
        shape = found;
        let failed = |source| OpenStoreError::Access { path: path.to_owned(), source };
        if shape != Shape::Empty {
            let statement = Statement::new(
                "SELECT version, name, CAST(applied_at AS TEXT) FROM schema_migrations ORDER BY version",
            );
            for mut row in connection.read(statement).await.map_err(failed)? {
                let mut migration = || {
                    Ok(AppliedMigration {
                        version: row.int()?,
                        name: row.text()?,
                        applied_at: row.text()?,
                    })
                };
                applied.push(migration().map_err(failed)?);
            }
        }
        connection.close().await;
    }
    let pending = pending(shape)
        .map(|migration| PendingMigration {
            version: migration.version,
            name: migration.name.to_owned(),
        })
        .collect();
    Ok(SchemaStatus { shape, applied, pending })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap_and_record_themselves() {
        for (place, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.version, i64::try_from(place).unwrap() + 1);
            let record = format!(
                "INSERT INTO schema_migrations (version, name) VALUES ({}, '{}');\n",
                migration.version, migration.name
            );
            assert!(
                migration.text.ends_with(&record),
                "migration {} must end so",
                migration.version
            );
        }
    }

    #[test]
    fn the_view_of_moments_is_the_first_statement_of_the_takeover() {
        let view = moments_view();
        assert!(view.starts_with("CREATE TEMP VIEW takeover_times"));
        assert!(view.ends_with("FROM offset_by"));
    }
}
