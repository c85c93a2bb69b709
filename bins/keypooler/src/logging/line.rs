//! One log line, as JSON and as text for people.

use std::fmt::Write;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::Level;

use super::fields::Fields;

/// RFC 3339, in UTC, to the millisecond.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// Names that each JSON line has; a field of the same name gets an underscore.
const RESERVED: [&str; 4] = ["level", "time", "message", "component"];

/// Whether text for people is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// With the escape sequences of terminals.
    On,
    /// Plain.
    Off,
}

/// What a line tells.
pub(crate) struct Line<'a> {
    pub(crate) level: Level,
    pub(crate) time: OffsetDateTime,
    pub(crate) component: &'a str,
    pub(crate) fields: Fields,
}

impl Line<'_> {
    /// One JSON object and a line break.
    pub(crate) fn json(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(512);
        line.extend_from_slice(b"{\"level\":\"");
        line.extend_from_slice(level_name(self.level).as_bytes());
        line.extend_from_slice(b"\",\"time\":\"");
        // It is written to memory, and every moment has a date and a time.
        let _ = self.time.format_into(&mut line, TIME);
        line.push(b'"');
        member(&mut line, "message", &self.fields.message);
        member(&mut line, "component", self.component);
        for (name, value) in self.fields.values() {
            line.extend_from_slice(b",\"");
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(if RESERVED.contains(&name) { b"_\":" } else { b"\":" });
            line.extend_from_slice(value);
        }
        line.extend_from_slice(b"}\n");
        line
    }

    /// Time, level, component, message, fields, and a line break.
    pub(crate) fn pretty(&self, colour: Colour) -> String {
        let paint = |code: &str, text: &str| match colour {
            Colour::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Off => text.to_owned(),
        };
        let level = format!("{:5}", self.level.as_str());
        let mut text = format!(
            "{} {} {} {}",
            paint(DIM, &self.time()),
            paint(level_colour(self.level), &level),
            paint(DIM, &format!("{}:", self.component)),
            on_one_line(&self.fields.message),
        );
        for (name, value) in self.fields.values() {
            let value = serde_json::from_slice(value).unwrap_or_default();
            let _ = write!(text, " {}{}", paint(DIM, &format!("{name}=")), readable(&value));
        }
        text.push('\n');
        text
    }

    fn time(&self) -> String {
        self.time.format(TIME).unwrap_or_default()
    }
}

/// Adds a member whose value is text. Names are those of fields in our code: nothing in them has to be escaped.
fn member(line: &mut Vec<u8>, name: &str, value: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    // Text is written to memory.
    let _ = serde_json::to_writer(line, value);
}

const DIM: &str = "2";

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    }
}

/// Text without control characters: a line break would pass for the start of another line.
fn on_one_line(text: &str) -> String {
    let escape = |char: char| {
        if char.is_control() { char.escape_default().to_string() } else { char.to_string() }
    };
    text.chars().map(escape).collect()
}

/// A value, quoted only where it would be misread without.
fn readable(value: &Value) -> String {
    match value.as_str() {
        Some(text)
            if !text.is_empty() && text.chars().all(|it| it.is_ascii_graphic() && it != '"') =>
        {
            text.to_owned()
        }
        _ => on_one_line(&value.to_string()),
    }
}
