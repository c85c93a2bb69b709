//! Keys as comma-separated values: a header, and a row for each key. Metadata and secrets are JSON objects in one cell.

use csv::{ErrorKind, ReaderBuilder, StringRecord, Writer};
use keypool_engine::{StillKey, times};
use keypool_http::{ListedKey, Values};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Object, Unreadable, add};

/// What a cell holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Text,
    Number,
    Object,
}

/// The columns of a file that can be read, in the order in which they are written.
const COLUMNS: [(&str, Cell); 8] = [
    ("name", Cell::Text),
    ("key", Cell::Text),
    ("tier", Cell::Text),
    ("expires_at", Cell::Text),
    ("usage_limit", Cell::Number),
    ("usage_window_seconds", Cell::Number),
    ("metadata", Cell::Object),
    ("secrets", Cell::Object),
];

/// The columns of a file without values.
const WITHOUT_VALUES: [&str; 9] = [
    "id",
    "name",
    "tier",
    "is_active",
    "expires_at",
    "usage_limit",
    "usage_window_seconds",
    "metadata",
    "secret_names",
];

/// Reads a file. Columns may come in any order; an empty cell is none. `tier` is that of rows without one.
pub(super) fn read(text: &str, tier: Option<&str>) -> Result<Vec<ListedKey>, Unreadable> {
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| unreadable(&error))?;
    let columns = columns(header)?;
    let mut listed = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for row in reader.records() {
        let row = row.map_err(|error| unreadable(&error))?;
        let begin = begin(&row, text);
        let between = text.as_bytes().get(counted..begin).unwrap_or_default();
        line += between.iter().filter(|byte| **byte == b'\n').count();
        counted = begin;
        add(&mut listed, line, object(&row, &columns, tier))?;
    }
    Ok(listed)
}

/// The bytes before a row: the reader tells those behind the row before, whose line break may go on.
fn begin(row: &StringRecord, text: &str) -> usize {
    let behind = row.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or(0);
    let rest = text.as_bytes().iter().skip(behind);
    behind + rest.take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// A row as JSON.
fn object(row: &StringRecord, columns: &[(&str, Cell)], tier: Option<&str>) -> Object {
    let bytes = row.as_slice().len() + tier.map_or(0, str::len);
    let mut object = Object::with_room_for(COLUMNS.len(), bytes);
    let mut tier = tier;
    for ((name, kind), cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        if *name == "tier" {
            tier = None;
        }
        match raw(*kind, cell) {
            Some(raw) => object.add_raw(name, raw),
            None => object.add(name, cell),
        }
    }
    if let Some(tier) = tier {
        object.add("tier", tier);
    }
    object
}

fn columns(header: &StringRecord) -> Result<Vec<(&'static str, Cell)>, Unreadable> {
    let mut columns: Vec<(&'static str, Cell)> = Vec::new();
    for name in header {
        let known = COLUMNS.iter().find(|(known, _)| *known == name.trim());
        let Some(column) = known else {
            // Not the name: without a header it would be a value.
            let known = COLUMNS.map(|(known, _)| known).join(", ");
            let problem = format!("the header names a column that is not known; known are {known}");
            return Err(Unreadable::new(1, problem));
        };
        if columns.contains(column) {
            return Err(Unreadable::new(1, format!("the header names {} twice", column.0)));
        }
        columns.push(*column);
    }
    Ok(columns)
}

/// A cell that is JSON. One that is not of its kind goes as a text, which the reader of the field refuses by its name.
fn raw(kind: Cell, cell: &str) -> Option<&RawValue> {
    let is_raw = match kind {
        Cell::Text => false,
        Cell::Number => cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'),
        Cell::Object => true,
    };
    if is_raw { serde_json::from_str(cell).ok() } else { None }
}

fn unreadable(error: &csv::Error) -> Unreadable {
    let line = error.position().and_then(|at| usize::try_from(at.line()).ok());
    Unreadable::new(
        line,
        match error.kind() {
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("has {len} cells where the header has {expected_len} columns")
            }
            ErrorKind::Io(_)
            | ErrorKind::Utf8 { .. }
            | ErrorKind::Seek
            | ErrorKind::Serialize(_)
            | ErrorKind::Deserialize { .. }
            | _ => "is no row of comma-separated values".to_owned(),
        },
    )
}

/// Writes a file.
pub(super) fn write<'a>(
    keys: impl Iterator<Item = StillKey<'a>>,
    values: Values,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut writer = Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| format!("the keys cannot be written as CSV: {error}");
    match values {
        Values::Shown => writer.write_record(COLUMNS.map(|(name, _)| name)).map_err(failed)?,
        Values::Hidden => writer.write_record(WITHOUT_VALUES).map_err(failed)?,
    }
    let number = |number: Option<i64>| number.map(|it| it.to_string()).unwrap_or_default();
    for key in keys {
        let expires_at = key.expires_at.map(times::to_the_millisecond).unwrap_or_default();
        let [limit, window] = [key.usage_limit, key.usage_window_seconds].map(number);
        let metadata = if key.metadata == "{}" { "" } else { key.metadata };
        match (values, key.open()) {
            (Values::Hidden, _) => {
                let active = key.is_active.to_string();
                let names = serde_json::Value::from(key.secret_names.clone()).to_string();
                writer.write_record([
                    key.id,
                    key.name,
                    key.tier,
                    &active,
                    &expires_at,
                    &limit,
                    &window,
                    metadata,
                    &names,
                ])
            }
            (Values::Shown, Some((value, secrets))) => {
                let sizes = secrets.iter().map(|it| it.name.len() + it.value.expose().len());
                let bytes: usize = sizes.sum();
                let mut object = Object::with_room_for(secrets.len(), bytes);
                for secret in &secrets {
                    object.add(&secret.name, secret.value.expose());
                }
                let json = object.finish();
                let json = std::str::from_utf8(&json).expect("JSON is UTF-8");
                let secrets = if secrets.is_empty() { "" } else { json };
                writer.write_record([
                    key.name,
                    value.expose(),
                    key.tier,
                    &expires_at,
                    &limit,
                    &window,
                    metadata,
                    secrets,
                ])
            }
            (Values::Shown, None) => Ok(()),
        }
        .map_err(failed)?;
    }
    let text = writer
        .into_inner()
        .map_err(|error| format!("the keys cannot be written as CSV: {error}"))?;
    Ok(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use keypool_http::ListedKey;

    use super::super::Format;

    fn read(text: &str) -> Vec<ListedKey> {
        Format::Csv.read(text.as_bytes(), None).unwrap()
    }

    fn problem(text: &str) -> String {
        match Format::Csv.read(text.as_bytes(), None) {
            Err(error) => error.to_string(),
            Ok(listed) => {
                let first =
                    listed.into_iter().find_map(|listed| Some((listed.line, listed.key.err()?)));
                let (line, problem) = first.expect("one is refused");
                format!("line {line}: {problem}")
            }
        }
    }

    #[test]
    fn reads_every_column_in_any_order() {
        let listed = read(
            "tier,name,key,secrets,metadata,usage_limit,usage_window_seconds,expires_at\r\n\
             t,\"a, \"\"b\"\"\",\"two\nlines\",\"{\"\"s\"\": \"\"x\"\"}\",{},10,60,2100-01-01T00:00:00Z\r\n\
             t,c,v,,,,,\r\n",
        );
        let key = listed[0].key.as_ref().unwrap();
        assert_eq!(
            (key.name.as_str(), key.value.expose(), key.tier.as_str()),
            ("a, \"b\"", "two\nlines", "t")
        );
        assert_eq!((key.usage_limit, key.usage_window_seconds), (Some(10), Some(60)));
        assert_eq!(key.metadata.as_deref(), Some("{}"));
        assert_eq!((key.secrets[0].0.as_str(), key.secrets[0].1.expose()), ("s", "x"));
        assert!(key.expires_at.is_some());
        let plain = listed[1].key.as_ref().unwrap();
        assert_eq!(
            (plain.usage_limit, plain.metadata.as_ref(), plain.secrets.len()),
            (None, None, 0)
        );
        assert_eq!((listed[0].line, listed[1].line), (2, 4));
    }

    #[test]
    fn a_tier_is_that_of_rows_without_one() {
        let text = b"name,key,tier\na,v,\nb,w,other\n";
        let listed = Format::Csv.read(text, Some("t")).unwrap();
        let tiers: Vec<&str> =
            listed.iter().map(|it| it.key.as_ref().unwrap().tier.as_str()).collect();
        assert_eq!(tiers, ["t", "other"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line_and_not_repeated() {
        let cases = [
            ("name,hush\na,b\n", "line 1: the header names a column that is not known"),
            ("name,name\na,b\n", "line 1: the header names name twice"),
            ("name,key,tier\na,hush\n", "line 2: has 2 cells where the header has 3 columns"),
            ("name,key,tier\na,hush,t\n,hush,t\n", "line 3: name: is required"),
            (
                "name,key,tier,usage_limit\na,hush,t,many\n",
                "line 2: usage_limit: must be a whole number",
            ),
            ("name,key,tier,metadata\na,hush,t,[1]\n", "line 2: metadata: must be a JSON object"),
            (
                "name,key,tier,metadata\na,hush,t,\"{}, \"\"x\"\": 1\"\n",
                "line 2: metadata: must be a JSON object",
            ),
            (
                "name,key,tier,secrets\na,hush,t,\"{\"\"s\"\": 5}\"\n",
                "line 2: secrets.s: must be a string",
            ),
            ("name,key,tier,expires_at\na,hush,t,tomorrow\n", "line 2: expires_at: must be a time"),
        ];
        for (text, expected) in cases {
            let said = problem(text);
            assert!(said.starts_with(expected), "{text}: {said}");
            assert!(!said.contains("hush"), "{said}");
        }
        assert!(read("name,key,tier\n").is_empty() && read("").is_empty());
    }
}
