//! Several statements as one text, so that they are one request and one transaction. Parameters stand in it as literals:
//! the client library binds none to a batch.
//!
//! SQLite takes no statement longer than 1,000,000 bytes: whoever writes many rows writes them in several.

use std::fmt::Write as _;

use crate::driver::{Statement, Touches, Value};

/// A text that ends a transaction whole: where a statement fails, the server skips the rest, COMMIT too, and closing the
/// stream undoes what came before it.
pub(super) fn enclosed(text: &str) -> String {
    // The client library writes a list of statements anew, and leaves the comma between these two out: such a table is not
    // strict on a libSQL server. What is written to it are numbers.
    let text = text.replace(") STRICT, WITHOUT ROWID;", ") WITHOUT ROWID;");
    format!("BEGIN IMMEDIATE;\n{text}\nCOMMIT;")
}

/// The statements, each followed by a check of the rows that it touched.
pub(super) fn transaction(write: &[Statement]) -> String {
    let mut text = String::new();
    for (place, statement) in write.iter().enumerate() {
        inline(&mut text, statement);
        text.push_str(";\n");
        if let Touches::Exactly(wanted) = statement.touches {
            // A path that is none is an error, and its sentence repeats it. RAISE is for triggers alone.
            let _ = writeln!(
                text,
                "SELECT json_extract('{{}}', iif(changes() = {wanted}, '$', 'keypooler: touched {place} {wanted} ' || changes()));"
            );
        }
    }
    enclosed(text.trim_end())
}

/// Puts the statement's parameters in the places of `?1`, `?2`, …, texts aside.
fn inline(text: &mut String, statement: &Statement) {
    let mut rest = &*statement.sql;
    let mut is_quoted = false;
    while let Some(next) = rest.find(['?', '\'']) {
        let (before, from) = rest.split_at(next);
        text.push_str(before);
        let (mark, after) = from.split_at(1);
        let behind = after.trim_start_matches(|char: char| char.is_ascii_digit());
        let number = after.strip_suffix(behind).and_then(|digits| digits.parse::<usize>().ok());
        let param = number.and_then(|number| statement.params.get(number.checked_sub(1)?));
        rest = after;
        match param {
            Some(param) if mark == "?" && !is_quoted => {
                literal(text, param);
                rest = behind;
            }
            Some(_) | None => {
                is_quoted ^= mark == "'";
                text.push_str(mark);
            }
        }
    }
    text.push_str(rest);
}

fn literal(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("NULL"),
        Value::Int(number) if *number < 0 => {
            // Two signs in a row would begin a comment.
            let _ = write!(text, "({number})");
        }
        Value::Int(number) => {
            let _ = write!(text, "{number}");
        }
        // SQL ends at a NUL; JSON has a way to write one.
        Value::Text(value) if value.contains('\0') => {
            let json = serde_json::to_string(&[value]).expect("a text becomes JSON");
            text.push('(');
            quote(text, &json);
            text.push_str(" ->> 0)");
        }
        Value::Text(value) => quote(text, value),
    }
}

/// A string literal: <https://sqlite.org/lang_expr.html#literal_values_constants_>.
fn quote(text: &mut String, value: &str) {
    text.push('\'');
    for (nth, part) in value.split('\'').enumerate() {
        if nth > 0 {
            text.push_str("''");
        }
        text.push_str(part);
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlined(statement: &Statement) -> String {
        let mut text = String::new();
        inline(&mut text, statement);
        text
    }

    #[test]
    fn parameters_become_literals_by_their_numbers() {
        let sql = "INSERT INTO t VALUES (?2, ?1, ?3, '?1', 'it''s ?2', ?10, ?)";
        let statement = Statement::new(sql).with("it's").with(-5).with(None::<i64>);
        let expected = "INSERT INTO t VALUES ((-5), 'it''s', NULL, '?1', 'it''s ?2', ?10, ?)";
        assert_eq!(inlined(&statement), expected);
    }

    #[test]
    fn a_parameter_cannot_end_its_literal() {
        let statement = Statement::new("SELECT ?1, ?2").with("'); DROP TABLE t; --").with("a\0'b");
        let expected = r#"SELECT '''); DROP TABLE t; --', ('["a\u0000''b"]' ->> 0)"#;
        assert_eq!(inlined(&statement), expected);
    }

    #[test]
    fn every_statement_is_checked_that_asks_for_it() {
        let write = [Statement::new("A").touching(2), Statement::new("B")];
        let lines: Vec<String> = transaction(&write).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!((&*lines[0], &*lines[1]), ("BEGIN IMMEDIATE;", "A;"));
        assert!(lines[2].contains("changes() = 2") && lines[2].contains("touched 0 2 "));
        assert_eq!((&*lines[3], &*lines[4]), ("B;", "COMMIT;"));
    }
}
