//! `keypooler migrate`: brings the database to this version's schema, or tells how far it is.

use std::io::{self, Write};

use anyhow::Context;
use keypool_engine::{Clock, Engine, EngineSettings, SchemaStatus, Shape, schema_status};

use crate::config::{DatabaseSettings, Settings};
use crate::serve::sealer;

/// Brings the database to this version's schema and ends. The way is that of a start to serve, so
/// that sealed values are tried before anything is changed.
pub(crate) async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let database = settings.database.clone();
    let before = status_of(&database).await?;
    let engine = Engine::open(EngineSettings {
        store: settings.database.into(),
        sealer: sealer(settings.encryption_key),
        admin_tokens: Vec::new(),
        clock: Clock::System,
        // Nothing is granted, so the time does not matter.
        accept_clock: true,
    })
    .await?;
    engine.close().await;

    let done = if before.pending.is_empty() { "already has" } else { "now has" };
    let after = status_of(&database).await?;
    let shape = name(after.shape);
    print(&format!("{database} {done} {shape}\n"));
    Ok(())
}

/// Prints how far the database is; changes nothing.
pub(crate) async fn status(settings: &Settings) -> anyhow::Result<()> {
    let database = &settings.database;
    print(&report(database, &status_of(database).await?));
    Ok(())
}

async fn status_of(database: &DatabaseSettings) -> anyhow::Result<SchemaStatus> {
    schema_status(database.clone()).await.context("the database's state could not be read")
}

fn report(database: &DatabaseSettings, status: &SchemaStatus) -> String {
    let mut text = format!("database: {database}\nshape:    {}\n", name(status.shape));
    for migration in &status.applied {
        let line = format!("applied:  {} {}", migration.version, migration.name);
        text.push_str(&format!("{line}, {}\n", migration.applied_at));
    }
    for migration in &status.pending {
        text.push_str(&format!("pending:  {} {}\n", migration.version, migration.name));
    }
    if status.pending.is_empty() {
        text.push_str("pending:  nothing\n");
    }
    if status.is_unfinished {
        text.push_str("state:    a copy that was not finished: copy into it again\n");
    }
    text
}

fn name(shape: Shape) -> String {
    match shape {
        Shape::Empty => "nothing in it yet".to_owned(),
        Shape::Version(1) => "schema version 1, the Go program's".to_owned(),
        Shape::Version(version) => format!("schema version {version}"),
    }
}

/// Whoever closed standard output does not want to know.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
