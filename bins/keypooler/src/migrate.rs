//! `keypooler migrate`: brings the database to this version's schema, or tells how far it is.

use std::fmt;

use anyhow::Context;
use keypool_engine::{Clock, Engine, EngineSettings, SchemaStatus, Shape, schema_status};
use serde::Serialize;

use crate::config::{DatabaseSettings, Settings};
use crate::exit::Outcome;
use crate::flags::MigrateFlags;
use crate::report;

/// Brings the database to this version's schema and ends, or only tells how far it is.
pub(crate) async fn migrate(settings: Settings, flags: &MigrateFlags) -> anyhow::Result<Outcome> {
    let form = flags.report.form();
    let database = settings.database.clone();
    let before = status_of(&database).await?;
    if flags.status {
        let outcome = if before.is_unfinished { Outcome::Amiss } else { Outcome::Done };
        report::print(&Status { schema: Schema::of(&database, before) }, form)?;
        return Ok(outcome);
    }
    bring(settings).await?;
    let changed = !before.pending.is_empty();
    let schema = Schema::of(&database, status_of(&database).await?);
    report::print(&Migrated { changed, schema }, form)?;
    Ok(Outcome::Done)
}

/// The way is that of a start to serve, so that sealed values are tried before anything is changed.
async fn bring(settings: Settings) -> anyhow::Result<()> {
    let engine = Engine::open(EngineSettings {
        store: settings.database.into(),
        sealer: settings.encryption.sealer(),
        admin_tokens: Vec::new(),
        clock: Clock::System,
        // Nothing is granted, so the time does not matter.
        accept_clock: true,
    })
    .await?;
    engine.close().await;
    Ok(())
}

async fn status_of(database: &DatabaseSettings) -> anyhow::Result<SchemaStatus> {
    schema_status(database.clone()).await.context("the database's state could not be read")
}

/// What is told where the database was to be changed.
#[derive(Debug, Serialize)]
struct Migrated {
    changed: bool,
    #[serde(flatten)]
    schema: Schema,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.changed { "now has" } else { "already has" };
        writeln!(f, "{} {done} {}", self.schema.database, self.schema.shape())
    }
}

/// What `--status` tells.
#[derive(Debug, Serialize)]
struct Status {
    #[serde(flatten)]
    schema: Schema,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "database: {}\nshape:    {}", self.schema.database, self.schema.shape())?;
        for Applied { version, name, applied_at } in &self.schema.applied {
            writeln!(f, "applied:  {version} {name}, {applied_at}")?;
        }
        for Pending { version, name } in &self.schema.pending {
            writeln!(f, "pending:  {version} {name}")?;
        }
        if self.schema.pending.is_empty() {
            writeln!(f, "pending:  nothing")?;
        }
        if self.schema.unfinished_copy {
            writeln!(f, "state:    a copy that was not finished: copy into it again")?;
        }
        Ok(())
    }
}

/// How far a database is.
#[derive(Debug, Serialize)]
struct Schema {
    database: String,
    /// 0 where there is nothing yet; 1 is the Go program's.
    schema_version: u32,
    applied: Vec<Applied>,
    pending: Vec<Pending>,
    unfinished_copy: bool,
}

#[derive(Debug, Serialize)]
struct Applied {
    version: i64,
    name: String,
    applied_at: String,
}

#[derive(Debug, Serialize)]
struct Pending {
    version: i64,
    name: String,
}

impl Schema {
    fn of(database: &DatabaseSettings, status: SchemaStatus) -> Self {
        let schema_version = match status.shape {
            Shape::Empty => 0,
            Shape::Version(version) => version,
        };
        let applied = status.applied.into_iter().map(|it| Applied {
            version: it.version,
            name: it.name,
            applied_at: it.applied_at,
        });
        let pending = status.pending.into_iter();
        Self {
            database: database.to_string(),
            schema_version,
            applied: applied.collect(),
            pending: pending.map(|it| Pending { version: it.version, name: it.name }).collect(),
            unfinished_copy: status.is_unfinished,
        }
    }

    fn shape(&self) -> String {
        match self.schema_version {
            0 => "nothing in it yet".to_owned(),
            1 => "schema version 1, the Go program's".to_owned(),
            version => format!("schema version {version}"),
        }
    }
}
