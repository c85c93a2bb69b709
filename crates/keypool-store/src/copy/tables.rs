//! What is copied: every table with its columns, in an order in which no row comes before one that it refers to, and the
//! statements that move its rows. Where the schema changes, this table changes.
//!
//! Rows travel as JSON, a chunk of them as one text. Texts stand in it as hex: they come out byte for byte as they went
//! in, whatever they hold (quotes, NUL, bytes that are no UTF-8), and two chunks are equal where their rows are.

use std::sync::LazyLock;

use self::Kind::{Number, Text};
use crate::change::LONGEST_ROWS;

/// A table whose rows are copied as they are.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// How many of the columns, from the first, are the primary key.
    keys: usize,
    columns: &'static [(&'static str, Kind)],
}

/// What a column holds, or nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
}

/// Every table that is copied.
const TABLES: [Table; 18] = [
    Table { name: "features", keys: 1, columns: &[("feature_no", Number), ("name", Text)] },
    Table {
        name: "tiers",
        keys: 1,
        columns: &[
            ("tier_no", Number),
            ("tier_uuid", Text),
            ("name", Text),
            ("description", Text),
            ("created_ms", Number),
            ("deleted_ms", Number),
            ("revision", Number),
        ],
    },
    Table {
        name: "tier_features",
        keys: 2,
        columns: &[
            ("tier_no", Number),
            ("feature_no", Number),
            ("rate_limit", Number),
            ("window_secs", Number),
        ],
    },
    Table {
        name: "keys",
        keys: 1,
        columns: &[
            ("key_no", Number),
            ("key_uuid", Text),
            ("name", Text),
            ("tier_no", Number),
            ("key_value", Text),
            ("is_active", Number),
            ("expires_ms", Number),
            ("usage_limit", Number),
            ("usage_window_secs", Number),
            ("metadata", Text),
            ("created_ms", Number),
            ("deleted_ms", Number),
            ("revision", Number),
        ],
    },
    Table {
        name: "key_secrets",
        keys: 2,
        columns: &[("key_no", Number), ("name", Text), ("value", Text)],
    },
    Table {
        name: "consumers",
        keys: 1,
        columns: &[
            ("consumer_no", Number),
            ("consumer_uuid", Text),
            ("name", Text),
            ("description", Text),
            ("token_digest", Text),
            ("is_active", Number),
            ("created_ms", Number),
            ("deleted_ms", Number),
            ("revision", Number),
            ("expires_ms", Number),
            ("token_issued_ms", Number),
        ],
    },
    Table {
        name: "former_tokens",
        keys: 2,
        columns: &[("consumer_no", Number), ("token_digest", Text), ("until_ms", Number)],
    },
    Table {
        name: "consumer_uses",
        keys: 1,
        columns: &[("consumer_no", Number), ("last_event", Number)],
    },
    Table {
        name: "consumer_scopes",
        keys: 2,
        columns: &[("consumer_no", Number), ("tier_no", Number)],
    },
    Table {
        name: "usage_events",
        keys: 1,
        columns: &[
            ("id", Number),
            ("key_no", Number),
            ("consumer_no", Number),
            ("feature_no", Number),
            ("previous", Number),
        ],
    },
    Table {
        name: "budget_counters",
        keys: 1,
        columns: &[
            ("key_no", Number),
            ("used", Number),
            ("window_start_ms", Number),
            ("opening", Number),
            ("opening_after", Number),
            ("newest_event", Number),
        ],
    },
    Table {
        name: "rate_counters",
        keys: 2,
        columns: &[
            ("key_no", Number),
            ("feature_no", Number),
            ("window_start_ms", Number),
            ("window_first", Number),
            ("used", Number),
            ("last_grant", Number),
        ],
    },
    Table {
        name: "prunings",
        keys: 1,
        columns: &[("before_ms", Number), ("begun_ms", Number), ("events", Number)],
    },
    Table {
        name: "pruned_usage",
        keys: 4,
        columns: &[
            ("day", Number),
            ("key_no", Number),
            ("consumer_no", Number),
            ("feature_no", Number),
            ("grants", Number),
        ],
    },
    Table {
        name: "rate_openings",
        keys: 2,
        columns: &[
            ("key_no", Number),
            ("feature_no", Number),
            ("window_start_ms", Number),
            ("events", Number),
        ],
    },
    Table {
        name: "changes",
        keys: 1,
        columns: &[
            ("revision", Number),
            ("change_id", Text),
            ("at_ms", Number),
            ("origin", Text),
            ("request_id", Text),
        ],
    },
    Table {
        name: "change_records",
        keys: 1,
        columns: &[
            ("record_no", Number),
            ("revision", Number),
            ("what", Text),
            ("id_of", Text),
            ("name", Text),
            ("before", Text),
            ("after", Text),
        ],
    },
    Table {
        name: "orphans",
        keys: 1,
        columns: &[("orphan_no", Number), ("source", Text), ("original", Text)],
    },
];

/// At most so many rows are read at a time: of those with texts few, as each may be long.
const MOST_ROWS: usize = 4_000;
const MOST_ROWS_WITH_TEXTS: usize = 200;

/// A table's rows and the ways to move them.
pub(super) struct Moves {
    pub(super) table: &'static str,
    /// A row that comes before all others.
    pub(super) start: String,
    /// One chunk of rows as text, NULL where there is none: those after the row `?1`.
    pub(super) read: String,
    /// Enters the rows of the chunk `?1`, if the copy `?2` is under way.
    pub(super) write: String,
    /// How many rows [`clear`](Moves::clear) would take.
    pub(super) look: String,
    /// Takes some rows out, if the copy `?1` is under way.
    pub(super) clear: String,
    /// How many rows there are.
    pub(super) count: String,
}

/// All of them, parents before children.
pub(super) static MOVES: LazyLock<Vec<Moves>> =
    LazyLock::new(|| TABLES.iter().map(Table::moves).collect());

impl Table {
    fn moves(&self) -> Moves {
        let table = self.name;
        let keys = self.columns.iter().take(self.keys);
        let start = list(keys.clone(), ", ", |_, (_, kind)| match kind {
            Number => i64::MIN.to_string(),
            Text => "\"\"".to_owned(),
        });
        let key = list(keys.clone(), ", ", |_, (name, _)| (*name).to_owned());
        let after = list(keys, ", ", |place, (_, kind)| unpacked("?1", place, *kind));
        let names = list(self.columns.iter(), ", ", |_, (name, _)| (*name).to_owned());
        let line = list(self.columns.iter(), ", ", |_, (name, kind)| match kind {
            Number => (*name).to_owned(),
            Text => format!("iif({name} IS NULL, NULL, hex({name}))"),
        });
        let values =
            list(self.columns.iter(), ", ", |place, (_, kind)| unpacked("value", place, *kind));
        let has_texts = self.columns.iter().any(|(_, kind)| *kind == Text);
        let most = if has_texts { MOST_ROWS_WITH_TEXTS } else { MOST_ROWS };
        Moves {
            table,
            start: format!("[{start}]"),
            read: format!(
                "SELECT '[' || group_concat(line) || ']' FROM (
                    SELECT line, sum(length(line) + 1) OVER (ORDER BY {key} ROWS UNBOUNDED PRECEDING) AS size
                    FROM (
                        SELECT {key}, json_array({line}) AS line FROM {table}
                        WHERE ({key}) > ({after}) ORDER BY {key} LIMIT {most}
                    )
                ) WHERE size < {LONGEST_ROWS} OR size = length(line) + 1"
            ),
            write: format!(
                "INSERT INTO {table} ({names}) SELECT {values} FROM json_each(?1) WHERE {}",
                under_way("?2")
            ),
            look: format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {MOST_ROWS})"),
            clear: format!(
                "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} LIMIT {MOST_ROWS}) AND {}",
                under_way("?1")
            ),
            count: format!("SELECT count(*) FROM {table}"),
        }
    }
}

/// Whether the copy of this number is the one that is under way.
fn under_way(copy: &str) -> String {
    format!("(SELECT is_copying = 1 AND revision = {copy} FROM pool)")
}

/// A column out of a row.
fn unpacked(row: &str, place: usize, kind: Kind) -> String {
    match kind {
        Number => format!("{row} ->> {place}"),
        Text => format!("CAST(unhex({row} ->> {place}) AS TEXT)"),
    }
}

fn list<T>(
    items: impl Iterator<Item = T>,
    between: &str,
    text: impl Fn(usize, T) -> String,
) -> String {
    items.enumerate().map(|(place, item)| text(place, item)).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::driver::{Row, Statement};
    use crate::settings::{SqliteSettings, Synchronous};

    /// Tables that are not copied as they are, with all of their columns: the record of migrations is made by them, the
    /// replicas' fences are those of running servers, and the pool's row is written where a copy ends (`tidy_due` being
    /// the file's own affair).
    const APART: [(&str, &[&str]); 3] = [
        ("schema_migrations", &["version", "name", "applied_at"]),
        ("replicas", &["replica_no", "fence"]),
        ("pool", &["one", "revision", "last_replica", "tidy_due", "is_copying"]),
    ];

    #[tokio::test]
    async fn every_column_of_the_schema_is_copied_or_named_as_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let settings = SqliteSettings {
            path: folder.path().join("pool.db"),
            synchronous: Synchronous::Normal,
            busy_timeout: Duration::ZERO,
        };
        let store = crate::inspect(settings.clone()).await.unwrap().open().await.unwrap();
        store.close().await;
        let mut source = crate::inspect(settings).await.unwrap().into_source();
        let columns = Statement::new(
            "SELECT m.name, c.name, c.type, c.pk FROM sqlite_master AS m, pragma_table_info(m.name) AS c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        );
        let mut schema = BTreeMap::new();
        for mut row in source.read(columns).await.unwrap() {
            let mut column = || -> Result<_, crate::DriverError> {
                Ok(((row.text()?, row.text()?), (row.text()?, row.int()?)))
            };
            let (column, meaning) = column().unwrap();
            schema.insert(column, meaning);
        }

        for table in &TABLES {
            for (place, (name, kind)) in table.columns.iter().enumerate() {
                let column = (table.name.to_owned(), (*name).to_owned());
                let kind = if *kind == Number { "INTEGER" } else { "TEXT" };
                let key = if place < table.keys { i64::try_from(place).unwrap() + 1 } else { 0 };
                let expected = Some((kind.to_owned(), key));
                assert_eq!(schema.remove(&column), expected, "{column:?}");
            }
        }
        for (table, names) in APART {
            for name in names {
                let column = (table.to_owned(), (*name).to_owned());
                assert!(schema.remove(&column).is_some(), "{column:?} is no more");
            }
        }
        assert!(schema.is_empty(), "neither copied nor named as left out: {schema:?}");
        let mut parents = source.read(Statement::new(FOREIGN_KEYS)).await.unwrap();
        assert!(!parents.is_empty());
        for row in &mut parents {
            let place = |row: &mut Row| {
                let name = row.text().unwrap();
                TABLES.iter().position(|table| table.name == name).unwrap()
            };
            assert!(place(row) > place(row), "a table comes before one that it refers to");
        }
        source.close().await;
    }

    /// Tables with those that they refer to.
    const FOREIGN_KEYS: &str = "SELECT m.name, f.\"table\"
        FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'";
}
