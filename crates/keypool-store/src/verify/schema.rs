//! The schema of a database beside the one that the migrations make.

use std::collections::BTreeMap;

use crate::driver::{DriverError, Row, Statement};
use crate::migrate::MIGRATIONS;
use crate::prospect::Source;
use crate::sqlite::connection::Connection;

/// Whatever the schema names, with its text, in a form in which only what it says matters.
type Schema = BTreeMap<(String, String), String>;

/// Tables, indexes, views and triggers. The record of migrations is left out: in a database taken over, it has the form that
/// the Go program gave it.
const OBJECTS: &str = "
    SELECT type, name, sql FROM sqlite_master
    WHERE sql IS NOT NULL AND name <> 'schema_migrations' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        AND name NOT LIKE 'libsql\\_%' ESCAPE '\\' AND name NOT LIKE '\\_litestream\\_%' ESCAPE '\\'";

/// What is missing or of another form (on a server, whose client library writes statements anew, what is missing alone), and triggers that nobody of ours made: they change what is written. Tables and
/// indexes of others harm nothing.
pub(super) async fn findings(source: &mut Source) -> Result<Vec<String>, DriverError> {
    let found = schema(source.read(Statement::long(OBJECTS)).await?)?;
    let expected = expected().await?;
    let mut findings = Vec::new();
    for (object @ (kind, name), text) in &expected {
        match found.get(object) {
            None => findings.push(format!("the {kind} {name} is missing")),
            Some(found) if found != text && !source.is_server() => {
                findings.push(format!("the {kind} {name} is not as the migrations make it"));
            }
            Some(_) => {}
        }
    }
    let foreign = found.keys().filter(|object| !expected.contains_key(*object));
    let triggers = foreign.filter(|(kind, _)| kind == "trigger");
    findings.extend(triggers.map(|(_, name)| format!("the trigger {name} is not keypooler's")));
    Ok(findings)
}

/// The schema of a fresh database, made in memory.
async fn expected() -> Result<Schema, DriverError> {
    let mut fresh = Connection::in_memory().await?;
    for migration in &MIGRATIONS {
        fresh.script(migration.text).await?;
    }
    let rows = fresh.read(Statement::new(OBJECTS)).await?;
    fresh.close().await;
    schema(rows)
}

fn schema(rows: Vec<Row>) -> Result<Schema, DriverError> {
    let object = |mut row: Row| {
        let object = (row.text()?, row.text()?);
        let text: Vec<String> = row.text()?.split_whitespace().map(str::to_owned).collect();
        Ok((object, text.join(" ")))
    };
    rows.into_iter().map(object).collect()
}
