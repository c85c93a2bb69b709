//! A JSON object that is written member by member, from texts that nobody else may see.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The longest name of a column, with the signs around it and its value.
const MEMBER_BYTES: usize = 32;
/// What a byte becomes at most: `\u0001`.
const ESCAPED_BYTES: usize = 6;

/// An object in memory that is wiped. It has room for all of it from the start: one that grows leaves a copy behind.
pub(super) struct Object(Zeroizing<Vec<u8>>);

impl Object {
    /// One of so many members at most, whose texts (and names that are no column's) have so many bytes in all.
    pub(super) fn with_room_for(members: usize, bytes: usize) -> Self {
        let room = MEMBER_BYTES * members + ESCAPED_BYTES * bytes + 2;
        let mut json = Zeroizing::new(Vec::with_capacity(room));
        json.push(b'{');
        Self(json)
    }

    /// Adds a text.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        self.add_name(name);
        self.add_text(text);
    }

    /// Adds what is JSON already.
    pub(super) fn add_raw(&mut self, name: &str, value: &RawValue) {
        self.add_name(name);
        self.0.extend_from_slice(value.get().as_bytes());
    }

    /// The whole of it.
    pub(super) fn finish(mut self) -> Zeroizing<Vec<u8>> {
        self.0.push(b'}');
        self.0
    }

    fn add_name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.add_text(name);
        self.0.push(b':');
    }

    fn add_text(&mut self, text: &str) {
        serde_json::to_writer(&mut *self.0, text).expect("a text is written to memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_without_growing() {
        let (name, text) = ("usage_window_seconds", "\u{1}\"\\\n\u{1f}ü🔑");
        let mut object = Object::with_room_for(2, 2 * text.len());
        let room = object.0.capacity();
        object.add(name, text);
        object.add(name, &"\u{2}".repeat(text.len()));
        let json = object.finish();
        assert_eq!(json.capacity(), room);
        let expected = format!(
            r#"{{"{name}":"\u0001\"\\\n\u001fü🔑","{name}":"{}"}}"#,
            r"\u0002".repeat(text.len())
        );
        assert_eq!(std::str::from_utf8(&json).unwrap(), expected);
    }

    #[test]
    fn what_is_json_already_stays_as_it_is() {
        let mut object = Object::with_room_for(1, 8);
        object.add_raw("a", serde_json::from_str("{\"b\" :1}").unwrap());
        assert_eq!(&**object.finish(), br#"{"a":{"b" :1}}"#);
    }
}
