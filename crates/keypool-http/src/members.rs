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
            let (line, column) = (error.line(), error.column());
            Problem::malformed(format!("the body is not valid JSON (line {line}, column {column})"))
        })
    }
}

impl<'b> Members<'b> {
    /// The member of that name, if it is there and not `null`.
    pub(crate) fn optional(&self, name: &str) -> Option<Field<'b>> {
        let (_, value) = self.members.iter().find(|(member, _)| member == name)?;
        (value.get() != "null").then(|| self.field(name, value))
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
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["name", "count", "list", "inner", "at"];

    fn read(body: &str) -> Result<Members<'_>, Problem> {
        read_object(body.as_bytes(), KNOWN)
    }

    fn complaint(body: &str) -> (Option<String>, String) {
        let problem = read(body).expect_err(body);
        (problem.field, problem.detail.into_owned())
    }

    #[test]
    fn refuses_what_is_no_object() {
        for body in [
            "",
            " \n",
            "[]",
            "[\"a\"]",
            "1",
            "null",
            "\"{}\"",
            "{",
            "{}{}",
            "{} x",
            "{,}",
            "{\"name\"}",
        ] {
            let (field, detail) = complaint(body);
            assert_eq!(field, None, "{body}");
            assert!(detail.starts_with("the body "), "{body}: {detail}");
        }
        assert!(read_object(b"{\"name\":\"\xff\"}", KNOWN).is_err());
        assert!(read_object(b"\xef\xbb\xbf{}", KNOWN).is_err());
        assert!(read(" \r\n\t{ } \n").is_ok());
    }

    #[test]
    fn names_unknown_and_repeated_members() {
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(complaint(r#"{"nmae":1}"#).0, named("nmae"));
        assert_eq!(complaint(r#"{"Name":1}"#).0, named("Name"));
        assert_eq!(complaint(r#"{"":1}"#).0, named("(empty)"));
        assert_eq!(complaint(r#"{"name":1,"count":2,"name":1}"#).0, named("name"));
        assert_eq!(complaint(r#"{"name":1,"n\u0061me":1}"#).0, named("name"));
        assert_eq!(complaint(r#"{"a\nb":1}"#).0, named("(unreadable)"));
    }

    #[test]
    fn null_counts_as_absent() {
        let members = read(r#"{"name":null,"count":0}"#).unwrap();
        assert!(members.optional("name").is_none());
        assert!(members.optional("list").is_none());
        assert!(members.optional("count").is_some());
        assert_eq!(members.required("name").unwrap_err().field.as_deref(), Some("name"));
    }

    #[test]
    fn whole_numbers_are_of_64_bits_and_without_fraction_or_exponent() {
        let read_number = |number: &str| {
            let body = format!(r#"{{"count":{number}}}"#);
            read(&body).unwrap().required("count").unwrap().whole_number().ok()
        };
        assert_eq!(read_number("0"), Some(0));
        assert_eq!(read_number("-7"), Some(-7));
        assert_eq!(read_number("9223372036854775807"), Some(i64::MAX));
        for number in
            ["9223372036854775808", "-9223372036854775809", "1.0", "1e3", "\"1\"", "true", "[1]"]
        {
            assert_eq!(read_number(number), None, "{number}");
        }
        assert!(read(r#"{"count":01}"#).is_err());
        assert!(read(r#"{"count":NaN}"#).is_err());
    }

    #[test]
    fn objects_within_objects_are_named_by_their_path() {
        let members = read(r#"{"inner":{"f":{"x":1},"g":[1]}}"#).unwrap();
        let inner = members.required("inner").unwrap().any_object().unwrap();
        let fields: Vec<_> = inner.fields().map(|field| (field.path, field.name)).collect();
        let pair = |path: &str, name: &str| (path.to_owned(), name.to_owned());
        assert_eq!(fields, [pair("inner.f", "f"), pair("inner.g", "g")]);
        let f = inner.required("f").unwrap();
        assert_eq!(f.object(&["y"]).unwrap_err().field.as_deref(), Some("inner.f.x"));
        let g = inner.required("g").unwrap();
        assert_eq!(g.object(&["y"]).unwrap_err().field.as_deref(), Some("inner.g"));
    }

    #[test]
    fn texts_must_be_unicode() {
        let text = |json: &str| {
            let body = format!(r#"{{"name":{json}}}"#);
            read(&body).ok().and_then(|members| members.required("name").unwrap().text().ok())
        };
        assert_eq!(text(r#""a\n\u00e9é""#).as_deref(), Some("a\néé"));
        assert_eq!(text(r#""\ud83d\ude00""#).as_deref(), Some("😀"));
        assert_eq!(text(r#""\ud800""#), None);
        assert_eq!(text("\"\n\""), None, "control characters must be escaped");
        assert_eq!(text("5"), None);
    }

    #[test]
    fn object_texts_stay_as_they_were_sent() {
        let members =
            read(r#"{"inner": { "b" : 1e400, "a":123456789012345678901234567890 } }"#).unwrap();
        let text = members.required("inner").unwrap().object_text().unwrap();
        assert_eq!(text, r#"{ "b" : 1e400, "a":123456789012345678901234567890 }"#);
    }

    #[test]
    fn elements_are_named_by_their_index_and_counted() {
        let Ok(Body::Many(elements)) = read_one_or_many(b"[{}, {\"x\":1}]") else {
            panic!("an array is many");
        };
        assert_eq!(elements[1].object(&[]).unwrap_err().field.as_deref(), Some("[1].x"));
        assert_eq!(elements[0].text().unwrap_err().field.as_deref(), Some("[0]"));
        assert!(matches!(read_one_or_many(b"{}"), Ok(Body::One(_))));
        let array = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(read_one_or_many(array(10_000).as_bytes()).is_ok());
        assert!(read_one_or_many(array(10_001).as_bytes()).is_err());
    }

    #[test]
    fn many_members_and_deep_nesting_are_refused_or_read_but_never_a_crash() {
        let many: Vec<_> = (0..=MOST_MEMBERS).map(|i| format!("\"{i}\":1")).collect();
        let (_, detail) = complaint(&format!("{{{}}}", many.join(",")));
        assert_eq!(detail, "the body must not have more than 1,000 members");
        let deep = format!(r#"{{"list":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(read(&deep).is_ok());
    }

    #[test]
    fn moments_keep_their_text_and_an_empty_one_is_none() {
        let moment = |json: &str| {
            let body = format!(r#"{{"at":{json}}}"#);
            read(&body).unwrap().required("at").unwrap().moment().ok()
        };
        let text = "2030-01-31T12:00:00.5+02:00";
        let parsed = moment(&format!("\"{text}\"")).unwrap().unwrap();
        assert_eq!(parsed, (Timestamp::from_millis(1_896_084_000_500), text.to_owned()));
        assert_eq!(moment("\"\""), Some(None));
        assert_eq!(moment("\"tomorrow\""), None);
        assert_eq!(moment("5"), None);
    }
}
