//! Metadata is kept as it was written, so it is read once, whole, before it is taken: what not every client could read
//! again, in each answer that carries it, is refused.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most bytes.
pub(crate) const MOST_BYTES: usize = 16 * 1_024;
/// The deepest nesting.
pub(crate) const DEEPEST: usize = 64;

/// Whether a text is a JSON object that every client can read: not too long, not too deep, no member twice, no text that
/// is not Unicode.
pub(crate) fn is_sound(text: &str) -> bool {
    let mut json = serde_json::Deserializer::from_str(text);
    let is_read = Sound { levels: DEEPEST }.deserialize(&mut json).is_ok() && json.end().is_ok();
    text.len() <= MOST_BYTES && text.starts_with('{') && is_read
}

/// A value with at most so many levels.
#[derive(Clone, Copy)]
struct Sound {
    levels: usize,
}

impl Sound {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Sound {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member twice"));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_any_object_that_can_be_read_again() {
        for text in [
            "{}",
            r#"{"n":12345678901234567890123,"x":1.5e-3,"a":[null,true,"ü",{"a":1}],"b":{"a":1}}"#,
            r#"{"pair":"\ud83d\ude00"}"#,
            &format!("{}1{}", r#"{"a":"#.repeat(DEEPEST), "}".repeat(DEEPEST)),
        ] {
            assert!(is_sound(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_some_client_could_not_read() {
        for text in [
            "",
            "{",
            "[]",
            "7",
            " {}",
            "{} {}",
            r#"{"a":1,"a":2}"#,
            r#"{"b":[{"a":1,"\u0061":2}]}"#,
            r#"{"lone":"\ud800"}"#,
            &format!("{}1{}", r#"{"a":"#.repeat(DEEPEST + 1), "}".repeat(DEEPEST + 1)),
            &format!("{}1{}", r#"{"a":"#.repeat(1_500), "}".repeat(1_500)),
            &format!(r#"{{"a":"{}"}}"#, "x".repeat(MOST_BYTES)),
        ] {
            assert!(!is_sound(text), "{}", text.chars().take(80).collect::<String>());
        }
    }
}
