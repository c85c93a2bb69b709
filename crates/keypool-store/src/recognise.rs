//! Says what a database file holds: nothing, the Go program's tables, ours, or something else. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use crate::driver::{DriverError, Statement};
use crate::migrate::NEWEST;
use crate::prospect::Source;

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It holds nothing yet.
    Empty,
    /// It holds this schema version: 1 is the Go program's, later ones are ours.
    Version(u32),
}

/// Why a database is not one of those.
#[derive(Debug)]
pub(crate) enum Unrecognised {
    /// It could not be read.
    Driver(DriverError),
    /// It holds a later version.
    Newer(i64),
    /// It is damaged.
    Damaged(String),
    /// It holds something else.
    Unknown(String),
}

impl From<DriverError> for Unrecognised {
    fn from(error: DriverError) -> Unrecognised {
        Unrecognised::Driver(error)
    }
}

/// The tables of version 1 with the columns that the takeover reads.
const ORIGINAL: [(&str, &[&str]); 7] = [
    ("tiers", &["id", "name", "description", "created_at"]),
    ("tier_features", &["tier_id", "feature", "rate_limit", "window_seconds"]),
    (
        "keys",
        &[
            "id",
            "name",
            "key_value",
            "tier_id",
            "is_active",
            "expires_at",
            "usage_limit",
            "usage_count",
            "usage_window_seconds",
            "usage_window_start",
            "metadata_json",
            "created_at",
        ],
    ),
    ("key_secrets", &["key_id", "name", "value"]),
    ("consumers", &["id", "name", "token_hash", "description", "is_active", "created_at"]),
    ("consumer_scopes", &["consumer_id", "tier_id"]),
    ("usage_events", &["id", "key_id", "consumer_id", "feature", "created_at"]),
];

/// The tables of ours in every version, each with a column that tells it from the original's.
const OURS: [(&str, &[&str]); 12] = [
    ("tiers", &["tier_no"]),
    ("features", &["feature_no"]),
    ("tier_features", &["tier_no"]),
    ("keys", &["key_no"]),
    ("key_secrets", &["key_no"]),
    ("consumers", &["consumer_no"]),
    ("consumer_scopes", &["consumer_no"]),
    ("usage_events", &["key_no"]),
    ("budget_counters", &["opening_after"]),
    ("rate_counters", &["last_grant"]),
    ("pool", &["revision", "tidy_due"]),
    ("draw_batch", &["revision"]),
];

/// Says what the database is.
pub(crate) async fn recognise(source: &mut Source) -> Result<Shape, Unrecognised> {
    let columns = columns(source).await?;
    if columns.is_empty() {
        return Ok(Shape::Empty);
    }
    if !columns.contains_key("schema_migrations") {
        let names = columns.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Unrecognised::Unknown(format!(
            "it records no schema version, and holds {names}"
        )));
    }
    let versions = Statement::new(
        "SELECT coalesce(max(version), 0), coalesce(min(version), 0) FROM schema_migrations",
    );
    let mut rows = source.read(versions).await?;
    let (newest, oldest) = match rows.first_mut() {
        Some(row) => (row.int()?, row.int()?),
        None => (0, 0),
    };
    match newest {
        1 => original(source, &columns).await,
        found if found > NEWEST => Err(Unrecognised::Newer(found)),
        found if oldest == 1 => {
            demand(&columns, &OURS)?;
            let version = u32::try_from(found).unwrap_or_default();
            Ok(Shape::Version(version))
        }
        _ => Err(Unrecognised::Unknown(
            "its record of schema versions does not begin with 1".to_owned(),
        )),
    }
}

async fn original(
    source: &mut Source,
    columns: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Shape, Unrecognised> {
    demand(columns, &ORIGINAL)?;
    let ours = OURS.iter().map(|(table, _)| *table);
    let theirs = |table: &&str| !ORIGINAL.iter().any(|(original, _)| original == table);
    if let Some(taken) =
        ours.filter(theirs).chain(["orphans"]).find(|name| columns.contains_key(*name))
    {
        let why = format!(
            "the name {taken}, which the upgrade needs, is taken by something of another program"
        );
        return Err(Unrecognised::Unknown(why));
    }
    let attached = Statement::new(
        "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY 1 LIMIT 1",
    );
    if let Some(row) = source.read(attached).await?.first_mut() {
        let why = format!(
            "the {} is not the original's and would not survive the upgrade; drop it",
            row.text()?
        );
        return Err(Unrecognised::Unknown(why));
    }
    let mut findings =
        source.read(Statement::long("SELECT quick_check FROM pragma_quick_check LIMIT 1")).await?;
    let finding = findings.first_mut().map(|row| row.text()).transpose()?.unwrap_or_default();
    if finding == "ok" { Ok(Shape::Version(1)) } else { Err(Unrecognised::Damaged(finding)) }
}

fn demand(
    columns: &BTreeMap<String, BTreeSet<String>>,
    tables: &[(&str, &[&str])],
) -> Result<(), Unrecognised> {
    for (table, wanted) in tables {
        let Some(found) = columns.get(*table) else {
            return Err(Unrecognised::Unknown(format!("the table {table} is missing")));
        };
        if let Some(missing) = wanted.iter().find(|column| !found.contains(**column)) {
            return Err(Unrecognised::Unknown(format!(
                "the table {table} has no column {missing}"
            )));
        }
    }
    Ok(())
}

/// Every table and view with its columns, SQLite's and libSQL's own left out.
async fn columns(source: &mut Source) -> Result<BTreeMap<String, BTreeSet<String>>, DriverError> {
    let statement = Statement::new(
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c
         WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            AND m.name NOT LIKE 'libsql\\_%' ESCAPE '\\' AND m.name NOT LIKE '\\_litestream\\_%' ESCAPE '\\'",
    );
    let mut columns = BTreeMap::<String, BTreeSet<String>>::new();
    for mut row in source.read(statement).await? {
        columns.entry(row.text()?).or_default().insert(row.text()?);
    }
    Ok(columns)
}
