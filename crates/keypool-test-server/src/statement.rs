//! What kind of statement a text is, by its first words, and which kinds a hosted server refuses.

use crate::sql_error::SqlError;

/// Pragmas that are allowed with and without an argument, as in libsql 0.10's `parser.rs`.
const PRAGMAS: &[&str] = &[
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "defer_foreign_keys",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "legacy_file_format",
    "module_list",
    "page_count",
    "pragma_list",
    "quick_check",
    "stats",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Pragmas that may be read but not set.
const READABLE_PRAGMAS: &[&str] = &[
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "cell_size_check",
    "checkpoint_fullfsync",
    "fullfsync",
    "hard_heap_limit",
    "journal_mode",
    "journal_size_limit",
    "legacy_alter_table",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "page_size",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "schema_version",
    "secure_delete",
    "soft_heap_limit",
    "synchronous",
    "temp_store",
    "threads",
    "trusted_schema",
    "wal_autocheckpoint",
];

/// A statement's kind, where it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `INSERT` or `REPLACE`: writes, and has a last rowid.
    Insert,
    /// `UPDATE` or `DELETE`: writes.
    Change,
    /// `BEGIN READONLY`, which only libSQL knows.
    BeginReadOnly,
    /// A pragma, which may leave its connection changed.
    Pragma,
    /// All else.
    Other,
}

/// The kind of the first statement in a text.
///
/// # Errors
///
/// A text without a statement, and a statement that a hosted server does not support.
pub(crate) fn judge(sql: &str) -> Result<Kind, SqlError> {
    let mut tokens = Tokens { rest: sql.as_bytes() };
    let mut first = tokens.find(|token| *token != b";").ok_or_else(SqlError::no_statement)?;
    if is(first, "EXPLAIN") {
        first = tokens.next().unwrap_or_default();
        if is(first, "QUERY") {
            return Ok(Kind::Other);
        }
        if !is(first, "PRAGMA") {
            return Ok(Kind::Other);
        }
    }
    match first.to_ascii_uppercase().as_slice() {
        b"INSERT" | b"REPLACE" => Ok(Kind::Insert),
        b"UPDATE" | b"DELETE" => Ok(Kind::Change),
        b"BEGIN" if tokens.next().is_some_and(|word| is(word, "READONLY")) => {
            Ok(Kind::BeginReadOnly)
        }
        b"VACUUM" | b"ATTACH" | b"DETACH" => Err(SqlError::unsupported()),
        b"CREATE" if is_temporary(tokens) => Err(SqlError::unsupported()),
        b"PRAGMA" if is_refused(tokens) => Err(SqlError::unsupported()),
        b"PRAGMA" => Ok(Kind::Pragma),
        _ => Ok(Kind::Other),
    }
}

/// The statements of a text, one by one. A trigger's own semicolons do not end it: its `; END ;` does.
pub(crate) fn split(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut tokens = Tokens { rest: sql.as_bytes() };
    let mut start = 0;
    let mut words: Vec<&[u8]> = Vec::new();
    while let Some(token) = tokens.next() {
        let is_end = token == b";" && (!is_trigger(&words) || ends_trigger(&words));
        words.push(token);
        if is_end {
            let end = sql.len() - tokens.rest.len();
            statements.extend(sql.get(start..end).filter(|_| words.len() > 1));
            start = end;
            words.clear();
        }
    }
    statements.extend(sql.get(start..).filter(|_| !words.is_empty()));
    statements
}

fn is_trigger(words: &[&[u8]]) -> bool {
    let is_create = words.first().is_some_and(|word| is(word, "CREATE"));
    is_create && words.iter().take(3).any(|word| is(word, "TRIGGER"))
}

fn ends_trigger(words: &[&[u8]]) -> bool {
    matches!(words, [.., b";", end] if is(end, "END"))
}

/// Whether what follows `CREATE` is `TEMP ...` or `TABLE temp.name`.
fn is_temporary(tokens: Tokens<'_>) -> bool {
    let words: Vec<&[u8]> = tokens.take(7).collect();
    let is_temp = |word: &[u8]| is(word, "TEMP") || is(word, "TEMPORARY");
    words.first().is_some_and(|word| is_temp(word))
        || words.windows(2).any(|pair| matches!(pair, [name, b"."] if is_temp(name)))
}

/// Whether a hosted server refuses the pragma that follows.
fn is_refused(mut tokens: Tokens<'_>) -> bool {
    let mut name = tokens.next().unwrap_or_default();
    let mut after = tokens.next();
    if after == Some(b".") {
        name = tokens.next().unwrap_or_default();
        after = tokens.next();
    }
    let has_argument = matches!(after, Some(b"=" | b"("));
    let is_among = |names: &[&str]| names.iter().any(|known| is(name, known));
    !is_among(PRAGMAS) && (has_argument || !is_among(READABLE_PRAGMAS))
}

fn is(token: &[u8], word: &str) -> bool {
    token.eq_ignore_ascii_case(word.as_bytes())
}

/// The words and signs of a text, without spaces, comments and the quotes of names.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    rest: &'a [u8],
}

impl Tokens<'_> {
    fn skip_blank(&mut self) {
        loop {
            let skipped = match self.rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0c, ..] => 1,
                [b'-', b'-', ..] => until(self.rest, b"\n"),
                [b'/', b'*', ..] => until(self.rest, b"*/"),
                _ => return,
            };
            self.rest = self.rest.get(skipped..).unwrap_or_default();
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.skip_blank();
        let (start, end) = match self.rest {
            [] => return None,
            [b'\'', quoted @ ..] => (
                0,
                quoted.iter().position(|byte| *byte == b'\'').map_or(quoted.len(), |at| at + 1) + 1,
            ),
            [quote @ (b'"' | b'`'), quoted @ ..] => {
                let end = quoted.iter().position(|byte| byte == quote).unwrap_or(quoted.len());
                (1, 1 + end)
            }
            [b'[', quoted @ ..] => {
                (1, 1 + quoted.iter().position(|byte| *byte == b']').unwrap_or(quoted.len()))
            }
            word => match word.iter().position(|byte| !is_word(*byte)).unwrap_or(word.len()) {
                0 => (0, 1),
                length => (0, length),
            },
        };
        let token = self.rest.get(start..end);
        // A name's closing quote is one further.
        self.rest = self.rest.get(end + start..).unwrap_or_default();
        token
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of a comment that ends after `end`.
fn until(text: &[u8], end: &[u8]) -> usize {
    let found = text.windows(end.len()).skip(2).position(|window| window == end);
    found.map_or(text.len(), |position| position + 2 + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_a_hosted_server_refuses() {
        for sql in [
            "VACUUM",
            "  -- a comment\n vacuum",
            "/* one */ ; ATTACH 'x' AS y",
            "detach y",
            "CREATE TEMP TABLE t (a)",
            "create temporary view v as select 1",
            "CREATE TABLE temp.t (a)",
            "CREATE TABLE IF NOT EXISTS \"temp\".t (a)",
            "PRAGMA journal_mode = DELETE",
            "PRAGMA main.journal_mode(DELETE)",
            "PRAGMA wal_checkpoint",
            "PRAGMA case_sensitive_like = 1",
            "PRAGMA no_such_thing",
            "EXPLAIN PRAGMA optimize",
        ] {
            let error = judge(sql).expect_err(sql);
            assert_eq!(error.code, "SQL_UNSUPPORTED");
        }
    }

    #[test]
    fn tells_kinds_apart() {
        for (sql, kind) in [
            ("INSERT INTO t VALUES (1)", Kind::Insert),
            ("/**/replace into t values (1)", Kind::Insert),
            ("\tDelete FROM t", Kind::Change),
            ("UPDATE t SET a = 1", Kind::Change),
            ("BEGIN READONLY", Kind::BeginReadOnly),
            ("BEGIN IMMEDIATE", Kind::Other),
            ("PRAGMA foreign_keys = ON", Kind::Pragma),
            ("PRAGMA main.journal_mode;", Kind::Pragma),
            ("PRAGMA table_info('t')", Kind::Pragma),
            ("CREATE TABLE temperature (a)", Kind::Other),
            ("EXPLAIN QUERY PLAN INSERT INTO t VALUES (1)", Kind::Other),
            ("SELECT 'VACUUM'", Kind::Other),
        ] {
            assert_eq!(judge(sql).ok(), Some(kind), "{sql}");
        }
    }

    #[test]
    fn splits_a_text_into_statements() {
        let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN \
            SELECT CASE 1 WHEN 1 THEN ';' END; DELETE FROM b; END;";
        let text = format!("CREATE TABLE a (b); ;{trigger} -- ; no\n SELECT 'x;y'");
        let statements = split(&text);
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert_eq!(statements.first(), Some(&"CREATE TABLE a (b);"));
        assert_eq!(statements.get(1), Some(&trigger));
        assert_eq!(statements.get(2).map(|text| text.ends_with("SELECT 'x;y'")), Some(true));
    }

    #[test]
    fn a_text_without_a_statement_is_told() {
        for sql in ["", " ; ", "-- nothing", "/* nothing"] {
            assert_eq!(judge(sql).expect_err(sql).code, "SQL_NO_STATEMENT");
        }
    }
}
