//! Files of keys, in three formats. The JSON that `POST /admin/keys` takes is the one that the others are brought to, key by
//! key, so that every field is read by the rules of a request.

mod csv;
mod env;
mod object;

use std::path::Path;

use clap::ValueEnum;
use keypool_engine::StillKey;
use keypool_http::{ListedKey, Values};
use zeroize::Zeroizing;

use self::object::Object;

/// A file holds no more keys.
const MOST_KEYS: usize = 10_000;

/// The format of a file of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The array (or one object) that POST /admin/keys takes
    Json,
    /// A header and a line for each key; metadata and secrets as JSON objects
    Csv,
    /// NAME=value lines: names and values alone
    Env,
}

/// A file that cannot be read as a list of keys: where, and a sentence that repeats nothing of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", self.place())]
pub(crate) struct Unreadable {
    pub(crate) line: Option<usize>,
    pub(crate) problem: String,
}

impl Unreadable {
    fn new(line: impl Into<Option<usize>>, problem: impl Into<String>) -> Self {
        Self { line: line.into(), problem: problem.into() }
    }

    fn place(&self) -> String {
        self.line.map(|line| format!("line {line}: ")).unwrap_or_default()
    }
}

impl Format {
    /// The format that a file's name tells of.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        match name.rsplit_once('.')?.1 {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "env" => Some(Self::Env),
            _ if name.starts_with(".env.") => Some(Self::Env),
            _ => None,
        }
    }

    /// Reads the keys of a text. `tier` is that of keys that name none.
    pub(crate) fn read(
        self,
        text: &[u8],
        tier: Option<&str>,
    ) -> Result<Vec<ListedKey>, Unreadable> {
        let text = std::str::from_utf8(text)
            .map_err(|_| Unreadable::new(None, "the file is not UTF-8 text"))?;
        // Some programs begin a file with this mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self {
            Self::Json => keypool_http::read_keys(text.as_bytes())
                .map_err(|problem| Unreadable::new(None, problem.replace("the body", "the file"))),
            Self::Csv => csv::read(text, tier),
            Self::Env => env::read(text, tier),
        }
    }

    /// Writes keys.
    pub(crate) fn write<'a>(
        self,
        keys: impl Iterator<Item = StillKey<'a>>,
        values: Values,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Json => Ok(keypool_http::write_keys(keys, values)),
            Self::Csv => csv::write(keys, values),
            Self::Env => env::write(keys),
        }
    }
}

/// Adds the key on a line to those before it.
fn add(listed: &mut Vec<ListedKey>, line: usize, key: Object) -> Result<(), Unreadable> {
    if listed.len() == MOST_KEYS {
        let problem = "a file holds at most 10,000 keys: import it in parts";
        return Err(Unreadable::new(line, problem));
    }
    let read = keypool_http::read_keys(&key.finish());
    let read = read.map_err(|problem| Unreadable::new(line, problem.replace("the body", "it")))?;
    listed.extend(read.into_iter().map(|key| ListedKey { line, ..key }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format() {
        let of = |name: &str| Format::of(Path::new(name));
        for (name, format) in [
            ("a.json", Some(Format::Json)),
            ("dir.csv/A.CSV", Some(Format::Csv)),
            (".env", Some(Format::Env)),
            (".env.production", Some(Format::Env)),
            ("prod.env", Some(Format::Env)),
            ("keys", None),
            ("keys.txt", None),
        ] {
            assert_eq!(of(name), format, "{name}");
        }
    }

    #[test]
    fn json_is_read_as_a_request_is_and_tells_lines() {
        let text = "\u{feff}[\n  {\"name\":\"a\",\"key\":\"v\",\"tier\":\"t\"},\n\n  {\"name\":\"b\",\"key\":\"v\"}\n]";
        let listed = Format::Json.read(text.as_bytes(), None).unwrap();
        assert_eq!((listed[0].line, listed[1].line), (2, 4));
        assert_eq!(listed[0].key.as_ref().unwrap().name, "a");
        assert_eq!(listed[1].key.as_ref().unwrap_err(), "[1].tier: is required");
        let broken = Format::Json.read(b"[{]", None).unwrap_err();
        assert_eq!(broken.to_string(), "the file is not valid JSON (line 1, column 3)");
        assert_eq!(Format::Json.read(b"[\xff]", None).unwrap_err().line, None);
    }

    /// It took minutes when the lines before each key were counted anew.
    #[test]
    fn as_many_keys_as_a_file_holds_are_read_without_delay_and_no_more() {
        let value = "v".repeat(1_000);
        let rows = |count: usize| format!("name,key\n{}", format!("n,{value}\n").repeat(count));
        let lines = |count: usize| format!("N={value}\n").repeat(count);
        for (format, text, first) in
            [(Format::Csv, rows(MOST_KEYS), 2), (Format::Env, lines(MOST_KEYS), 1)]
        {
            let listed = format.read(text.as_bytes(), Some("t")).unwrap();
            let read: Vec<usize> = listed.iter().map(|it| it.line).collect();
            assert_eq!(read, (first..first + MOST_KEYS).collect::<Vec<_>>());
            assert!(listed.iter().all(|it| it.key.is_ok()), "{format:?}");
        }
        for (format, text, line) in [
            (Format::Csv, rows(MOST_KEYS + 1), 10_002),
            (Format::Env, lines(MOST_KEYS + 1), 10_001),
        ] {
            let refused = format.read(text.as_bytes(), Some("t")).unwrap_err();
            assert_eq!(refused.line, Some(line));
            assert!(refused.problem.contains("at most 10,000 keys"), "{refused}");
        }
    }
}
