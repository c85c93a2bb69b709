//! Answers, and their JSON as it is written while rows come.

use std::io::Write;

use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper::StatusCode;
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use serde::Serialize;

use crate::sql_error::SqlError;

/// What is answered to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

/// What a statement did, beside its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect {
    pub(crate) affected_rows: u64,
    pub(crate) last_rowid: Option<i64>,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, content_type: "application/json", body }
    }

    pub(crate) fn text(status: StatusCode, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: "text/plain", body: body.into() }
    }

    /// The JSON of a pipeline, cut in its middle.
    pub(crate) fn cut_json(&mut self) {
        self.body.truncate(self.body.len() / 2);
    }

    /// The lines of a cursor without the second half of them, but never without the first.
    pub(crate) fn cut_lines(&mut self) {
        let ends: Vec<usize> =
            (0..self.body.len()).filter(|at| self.body.get(*at) == Some(&b'\n')).collect();
        let kept = ends.len().div_ceil(2).max(1);
        if let Some(end) = ends.get(kept - 1) {
            self.body.truncate(end + 1);
        }
    }
}

/// Writes a string, a number or null as JSON.
pub(crate) fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("plain values can be written as JSON");
}

/// `{"message": ..., "code": ...}`
pub(crate) fn write_error(out: &mut Vec<u8>, error: &SqlError) {
    out.extend_from_slice(b"{\"message\":");
    write_json(out, &error.message);
    out.extend_from_slice(b",\"code\":");
    write_json(out, error.code);
    out.push(b'}');
}

/// `[{"name": ..., "decltype": ...}, ...]`
pub(crate) fn write_columns(out: &mut Vec<u8>, statement: &Statement<'_>) {
    out.push(b'[');
    for (index, column) in statement.columns().iter().enumerate() {
        separate(out, index);
        out.extend_from_slice(b"{\"name\":");
        write_json(out, column.name());
        out.extend_from_slice(b",\"decltype\":");
        write_json(out, &column.decl_type());
        out.push(b'}');
    }
    out.push(b']');
}

/// `[value, ...]`
pub(crate) fn write_row(
    out: &mut Vec<u8>,
    row: &rusqlite::Row<'_>,
    columns: usize,
) -> Result<(), SqlError> {
    out.push(b'[');
    for index in 0..columns {
        separate(out, index);
        write_value(out, row.get_ref(index)?);
    }
    out.push(b']');
    Ok(())
}

/// `"affected_row_count":1,"last_insert_rowid":"2"`
pub(crate) fn write_effect(out: &mut Vec<u8>, effect: Effect) {
    out.extend_from_slice(b"\"affected_row_count\":");
    out.extend_from_slice(itoa::Buffer::new().format(effect.affected_rows).as_bytes());
    out.extend_from_slice(b",\"last_insert_rowid\":");
    match effect.last_rowid {
        Some(rowid) => write_quoted(out, rowid),
        None => out.extend_from_slice(b"null"),
    }
}

/// Puts a comma before all but the first.
pub(crate) fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"{\"type\":\"null\"}"),
        ValueRef::Integer(number) => {
            out.extend_from_slice(b"{\"type\":\"integer\",\"value\":");
            write_quoted(out, number);
            out.push(b'}');
        }
        ValueRef::Real(number) => {
            out.extend_from_slice(b"{\"type\":\"float\",\"value\":");
            write_json(out, &number);
            out.push(b'}');
        }
        ValueRef::Text(text) => {
            out.extend_from_slice(b"{\"type\":\"text\",\"value\":");
            write_json(out, &*String::from_utf8_lossy(text));
            out.push(b'}');
        }
        ValueRef::Blob(bytes) => {
            out.extend_from_slice(b"{\"type\":\"blob\",\"base64\":\"");
            write!(out, "{}", base64::display::Base64Display::new(bytes, &STANDARD_NO_PAD))
                .expect("writing to memory does not fail");
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Integers travel as strings.
fn write_quoted(out: &mut Vec<u8>, number: i64) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b'"');
}
