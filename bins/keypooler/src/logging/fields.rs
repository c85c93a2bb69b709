//! The fields of an event or a span, in the order in which they were given, each written as JSON at once: a line for a
//! request is put together thousands of times a second.

use std::error::Error;
use std::fmt::{self, Write};
use std::ops::Range;

use serde::Serialize;
use tracing::field::{Field, Visit};

/// Names and values; a name given again replaces its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    /// What the event says; spans say nothing.
    pub(crate) message: String,
    /// The values as JSON, one behind the other.
    json: Vec<u8>,
    places: Vec<(&'static str, Range<usize>)>,
}

impl Fields {
    /// Those of an event, with room for a request's.
    pub(crate) fn of_an_event() -> Self {
        let (json, places) = (Vec::with_capacity(256), Vec::with_capacity(12));
        Self { message: String::new(), json, places }
    }

    /// Adds the fields of an inner span.
    pub(crate) fn extend(&mut self, inner: &Self) {
        for (name, value) in inner.values() {
            self.set_json(name, |json| json.extend_from_slice(value));
        }
    }

    /// Names, and values as JSON.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.places
            .iter()
            .map(|(name, place)| (*name, self.json.get(place.clone()).unwrap_or_default()))
    }

    fn set(&mut self, name: &'static str, value: impl Serialize) {
        // Text, numbers and truth values are written to memory.
        self.set_json(name, |json| drop(serde_json::to_writer(json, &value)));
    }

    fn set_json(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.json.len();
        write(&mut self.json);
        let place = start..self.json.len();
        match self.places.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = place,
            None => self.places.push((name, place)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message.clear();
            let _ = write!(self.message, "{value:?}");
        } else {
            self.set(field.name(), format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field.name(), value);
        }
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.set(field.name(), with_causes(error));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value);
    }
}

/// An error and what caused it, outermost first.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
