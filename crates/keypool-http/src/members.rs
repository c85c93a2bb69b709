//! JSON objects, read strictly: no member that is not known, none twice, no wrong type, and every complaint names the
//! field. Nothing of a value is ever repeated, and values that are secret go straight into a [`Plain`].
//!
//! An object is split into its members first, each kept as the text that was sent; a member is read when its type is
//! known. So numbers keep their digits, metadata stays as it was sent, and nothing depends on serde's wording.

use std::collections::HashSet;
use std::fmt;

use keypool_engine::{Plain, Timestamp};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::problem::Problem;
use crate::times;

/// No object of ours has more members.
const MOST_MEMBERS: usize = 1000;

/// No array of ours has more elements.
const MOST_ELEMENTS: usize = 10_000;

/// A value as it was sent, with the name it goes by in complaints.
#[derive(Clone, Debug)]
pub(crate) struct Field<'b> {
    /// As callers name it, from the top of the body on.
    pub(crate) path: String,
    /// The last part of `path`: the member's own name.
    pub(crate) name: String,
    text: &'b str,
}

/// The members of an object.
#[derive(Debug)]
pub(crate) struct Members<'b> {
    path: String,
    members: Vec<(String, &'b RawValue)>,
}

/// What a body holds.
#[derive(Debug)]
pub(crate) enum Body<'b> {
    /// One thing.
    One(Field<'b>),
    /// An array of things.
    Many(Vec<Field<'b>>),
}

/// Reads a body that is one JSON object with no other members than those in `known`.
///
/// # Errors
///
/// A [`Problem`] with status 400.
pub(crate) fn read_object<'b>(body: &'b [u8], known: &[&str]) -> Result<Members<'b>, Problem> {
    Field::of_body(text_of(body)?).object(known)
}

/// The same for a body that may be left out.
///
/// # Errors
///
/// A [`Problem`] with status 400.
pub(crate) fn read_object_if_any<'b>(
    body: &'b [u8],
    known: &[&str],
) -> Result<Members<'b>, Problem> {
    if body.is_empty() {
        return Ok(Members { path: String::new(), members: Vec::new() });
    }
    read_object(body, known)
}

/// Reads a body that is one JSON value or an array of them.
///
/// # Errors
///
/// A [`Problem`] with status 400.
pub(crate) fn read_one_or_many(body: &[u8]) -> Result<Body<'_>, Problem> {
    let whole = Field::of_body(text_of(body)?);
    if !whole.text.starts_with('[') {
        return Ok(Body::One(whole));
    }
    whole.elements().map(Body::Many)
}

/// A member's or parameter's name as complaints may repeat it.
pub(crate) fn shown_name(name: &str) -> String {
    let is_plain = name.chars().count() <= 128 && !name.chars().any(char::is_control);
    match name {
        "" => "(empty)".to_owned(),
        name if is_plain => name.to_owned(),
        _ => "(unreadable)".to_owned(),
    }
}

fn text_of(body: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Problem::malformed("the body is not UTF-8"))?
        .trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Err(Problem::malformed("the body is empty, where JSON is expected"));
    }
    Ok(text)
}

impl<'b> Field<'b> {
    const fn of_body(text: &'b str) -> Self {
        Self { path: String::new(), name: String::new(), text }
    }

    /// The bytes of the whole body that stand before it.
    pub(crate) fn offset_in(&self, body: &[u8]) -> usize {
        self.text.as_ptr().addr().saturating_sub(body.as_ptr().addr())
    }

    /// The complaint that this field must be something else.
    pub(crate) fn must(&self, problem: &str) -> Problem {
        if self.path.is_empty() {
            return Problem::malformed(format!("the body {problem}"));
        }
        Problem::field(&self.path, problem)
    }

    /// An object with no other members than those in `known`.
    pub(crate) fn object(&self, known: &[&str]) -> Result<Members<'b>, Problem> {
        let members = self.any_object()?;
        match members.members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Problem::field(members.path_of(name), "is not a known member")),
            None => Ok(members),
        }
    }

    /// An object with members of any name.
    pub(crate) fn any_object(&self) -> Result<Members<'b>, Problem> {
        if !self.text.starts_with('{') {
            return Err(self.must("must be a JSON object"));
        }
        let Listed(members) = self.parse()?;
        let members = Members { path: self.path.clone(), members };
        let mut seen = HashSet::with_capacity(members.members.len());
        match members.members.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => {
                Err(Problem::field(members.path_of(name), "is given more than once"))
            }
            None => Ok(members),
        }
    }

    /// The text of an object, as it was sent.
    pub(crate) fn object_text(&self) -> Result<String, Problem> {
        if !self.text.starts_with('{') {
            return Err(self.must("must be a JSON object"));
        }
        Ok(self.text.to_owned())
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.text == "null"
    }

    /// A string.
    pub(crate) fn text(&self) -> Result<String, Problem> {
        if !self.text.starts_with('"') {
            return Err(self.must("must be a string"));
        }
        serde_json::from_str(self.text).map_err(|_| self.must("must be a string of valid Unicode"))
    }

    /// A string that nobody else may see.
    pub(crate) fn secret(&self) -> Result<Plain, Problem> {
        self.text().map(Plain::from)
    }

    /// A number without fraction or exponent.
    pub(crate) fn whole_number(&self) -> Result<i64, Problem> {
        self.text.parse().map_err(|_| {
            self.must("must be a whole number, without fraction or exponent, of at most 64 bits")
        })
    }

    /// `true` or `false`.
    pub(crate) fn yes_or_no(&self) -> Result<bool, Problem> {
        self.text.parse().map_err(|_| self.must("must be true or false"))
    }

    /// A moment, with the text it was given as; an empty text is none.
    pub(crate) fn moment(&self) -> Result<Option<(Timestamp, String)>, Problem> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(None);
        }
        let moment = times::parse(&text).ok_or_else(|| {
            self.must("must be a time as in RFC 3339, such as 2030-01-31T12:00:00Z")
        })?;
        Ok(Some((moment, text)))
    }

    /// An array.
    pub(crate) fn elements(&self) -> Result<Vec<Field<'b>>, Problem> {
        if !self.text.starts_with('[') {
            return Err(self.must("must be an array"));
        }
        let Elements(elements) = self.parse()?;
        let element = |(index, text): (usize, &'b RawValue)| {
            let name = format!("[{index}]");
            Field { path: format!("{}{name}", self.path), name, text: text.get() }
        };
        Ok(elements.into_iter().enumerate().map(element).collect())
    }

    fn parse<T: Deserialize<'b>>(&self) -> Result<T, Problem> {
        serde_json::from_str(self.text).map_err(|error| {
            if error.is_data() {
                return self.must(match self.text.starts_with('[') {
                    true => "must not have more than 10,000 elements",
                    false => "must not have more than 1,000 members",
                });
            }
            if !self.path.is_empty() {
                // The place would be counted from the field's start. Only a name can still be wrong: the body as a
                // whole was read already, but for the escapes in what this field holds.
                return self.must("must be valid JSON, with names of valid Unicode");
            }
            let (line, column) = (error.line(), error.column());
            Problem::malformed(format!("the body is not valid JSON (line {line}, column {column})"))
        })
    }
}

impl<'b> Members<'b> {
    /// The member of that name, if it is there and not `null`.
    pub(crate) fn optional(&self, name: &str) -> Option<Field<'b>> {
        self.given(name).filter(|field| !field.is_null())
    }

    /// The member of that name, if it is there; it may be `null`.
    pub(crate) fn given(&self, name: &str) -> Option<Field<'b>> {
        let (_, value) = self.members.iter().find(|(member, _)| member == name)?;
        Some(self.field(name, value))
    }

    /// What a member says that `null` clears; `None` where it is not there.
    pub(crate) fn clearable<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'b>) -> Result<T, Problem>,
    ) -> Result<Option<Option<T>>, Problem> {
        match self.given(name) {
            Some(field) if field.is_null() => Ok(Some(None)),
            given => Ok(given.map(|field| read(&field)).transpose()?.map(Some)),
        }
    }

    /// The member of that name.
    pub(crate) fn required(&self, name: &str) -> Result<Field<'b>, Problem> {
        self.optional(name).ok_or_else(|| Problem::field(self.path_of(name), "is required"))
    }

    /// All members, in the order in which they were sent.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field<'b>> {
        self.members.iter().map(|(name, value)| self.field(name, value))
    }

    fn field(&self, name: &str, value: &'b RawValue) -> Field<'b> {
        Field { path: self.path_of(name), name: name.to_owned(), text: value.get() }
    }

    fn path_of(&self, name: &str) -> String {
        let name = shown_name(name);
        match self.path.as_str() {
            "" => name,
            path => format!("{path}.{name}"),
        }
    }
}

/// Members as they stand, repeated ones too.
struct Listed<'b>(Vec<(String, &'b RawValue)>);

/// The elements of an array.
struct Elements<'b>(Vec<&'b RawValue>);

impl<'b> Deserialize<'b> for Listed<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyObject;

        impl<'b> Visitor<'b> for AnyObject {
            type Value = Listed<'b>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == MOST_MEMBERS {
                        return Err(A::Error::custom("too many members"));
                    }
                    members.push(member);
                }
                Ok(Listed(members))
            }
        }

        deserializer.deserialize_map(AnyObject)
    }
}

impl<'b> Deserialize<'b> for Elements<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyArray;

        impl<'b> Visitor<'b> for AnyArray {
            type Value = Elements<'b>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() == MOST_ELEMENTS {
                        return Err(A::Error::custom("too many elements"));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }

        deserializer.deserialize_seq(AnyArray)
    }
}

#[cfg(test)]
mod tests;
