//! The numbered migrations: embedded, forward only, each in one transaction that records itself.

use std::path::Path;

use crate::driver::{Driver, DriverError, Statement};
use crate::error::OpenStoreError;
use crate::prospect::glance;
use crate::recognise::Shape;
use crate::settings::StoreSettings;

/// A migration: its text ends by recording its number and name in `schema_migrations`.
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// All of them, in order.
pub(crate) const MIGRATIONS: [Migration; 8] = [
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
    Migration {
        version: 4,
        name: "replicas",
        text: include_str!("../../../migrations/0004_replicas.sql"),
    },
    Migration {
        version: 5,
        name: "changes",
        text: include_str!("../../../migrations/0005_changes.sql"),
    },
    Migration {
        version: 6,
        name: "tokens",
        text: include_str!("../../../migrations/0006_tokens.sql"),
    },
    Migration {
        version: 7,
        name: "pruning",
        text: include_str!("../../../migrations/0007_pruning.sql"),
    },
    Migration {
        version: 8,
        name: "strays",
        text: include_str!("../../../migrations/0008_strays.sql"),
    },
];

/// The newest version that this program knows.
pub(crate) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// A query of a version 1 database with `takeover_moments` in reach: every moment that is written in it and can be read,
/// by the rules that migration 2 goes by. Its first statement is the view of them.
pub(crate) fn with_moments(query: &str) -> String {
    let text = MIGRATIONS[1].text;
    let view = "CREATE VIEW takeover_times (written, ms) AS\n";
    let start = text.find(view).expect("migration 2 begins with the view of moments") + view.len();
    let end = text.find(";\n\n").expect("the view of moments ends before the next statement");
    let times = text.get(start..end).expect("the view of moments is one statement");
    let rest =
        query.strip_prefix("WITH\n").map_or_else(|| query.to_owned(), |ctes| format!(", {ctes}"));
    format!(
        "WITH takeover_times (written, ms) AS ({times}),
        takeover_moments (written, ms) AS MATERIALIZED (SELECT written, ms FROM takeover_times WHERE ms IS NOT NULL)
        {rest}"
    )
}

/// Brings a database from the version it has to the newest, one transaction a step. Where replicas start together, one
/// of them takes each step and the others find it taken.
pub(crate) async fn migrate(
    path: &Path,
    driver: &Driver,
    shape: Shape,
) -> Result<(), OpenStoreError> {
    for migration in pending(shape) {
        let version = migration.version;
        match driver.script(migration.text).await {
            Ok(()) => {
                tracing::info!(path = %path.display(), version, "the database was brought to this schema version");
                if driver.is_shared() && shape == Shape::Version(1) && version == 2 {
                    tracing::warn!(
                        place = %path.display(),
                        "a database of the Go program was taken over; no copy of it is written on a server: its backups are the way back"
                    );
                }
            }
            Err(_) if driver.is_shared() && has(driver, version).await => {}
            Err(source) => {
                return Err(OpenStoreError::Migration { path: path.to_owned(), version, source });
            }
        }
    }
    tidy(driver).await.map_err(|source| OpenStoreError::Tidy { path: path.to_owned(), source })
}

/// Whether the database has this version.
async fn has(driver: &Driver, version: i64) -> bool {
    let look = Statement::new("SELECT 1 FROM schema_migrations WHERE version = ?1").with(version);
    driver.read(look).await.is_ok_and(|rows| !rows.is_empty())
}

/// Ends an upgrade: nothing of the old rows stays in the file or its journal. An end that was interrupted is made up
/// for at the next start.
async fn tidy(driver: &Driver) -> Result<(), DriverError> {
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
    /// Whether it was to hold a copy of another that was not finished: no server opens it.
    pub is_unfinished: bool,
}

/// Says how far a database is. Changes nothing and takes no lock; a file that does not exist is empty.
///
/// # Errors
/// The database cannot be read, or is none of keypooler.
pub async fn schema_status(
    settings: impl Into<StoreSettings>,
) -> Result<SchemaStatus, OpenStoreError> {
    let mut applied = Vec::new();
    let mut shape = Shape::Empty;
    let mut is_unfinished = false;
    if let Some((mut source, found)) = glance(settings.into()).await? {
        shape = found;
        let path = source.place();
        let failed = |source| OpenStoreError::Access { path: path.clone(), source };
        if shape != Shape::Empty {
            let statement = Statement::new(
                "SELECT version, name, CAST(applied_at AS TEXT) FROM schema_migrations ORDER BY version",
            );
            for mut row in source.read(statement).await.map_err(failed)? {
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
        if pending(shape).next().is_none() {
            let look = Statement::new("SELECT is_copying FROM pool");
            let mut rows = source.read(look).await.map_err(failed)?;
            let copying = rows.first_mut().map(|row| row.int()).transpose().map_err(failed)?;
            is_unfinished = copying != Some(0);
        }
        source.close().await;
    }
    let pending = pending(shape)
        .map(|migration| PendingMigration {
            version: migration.version,
            name: migration.name.to_owned(),
        })
        .collect();
    Ok(SchemaStatus { shape, applied, pending, is_unfinished })
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
    fn moments_are_read_as_the_takeover_reads_them() {
        let query = with_moments("SELECT 1");
        assert!(
            query.starts_with("WITH takeover_times (written, ms) AS (WITH moments (written) AS (")
        );
        assert!(query.contains("FROM offset_by),") && query.ends_with("SELECT 1"));
        assert!(
            with_moments("WITH\na AS (SELECT 1) SELECT 1").ends_with(", a AS (SELECT 1) SELECT 1")
        );
    }
}
