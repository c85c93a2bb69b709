//! Bad input is a complaint that names the field, and never a panic (promise 9).

use proptest::prelude::*;

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
fn names_that_are_not_unicode_are_told_by_the_field_that_holds_them() {
    let members = read(r#"{"inner":{"\ud800":"x"},"list":[{"a":{"\udc00":1}}]}"#).unwrap();
    let inner = members.required("inner").unwrap().any_object().unwrap_err();
    assert_eq!(inner.field.as_deref(), Some("inner"));
    assert_eq!(inner.detail, "inner: must be valid JSON, with names of valid Unicode");
    let elements = members.required("list").unwrap().elements().unwrap();
    let a = elements[0].object(&["a"]).unwrap().required("a").unwrap();
    assert_eq!(a.any_object().unwrap_err().field.as_deref(), Some("list[0].a"));
    let (field, detail) = complaint(r#"{"\ud800":"x"}"#);
    assert_eq!((field, detail.contains("(line 1, column ")), (None, true), "{detail}");
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

proptest! {
    #[test]
    fn no_body_is_too_odd_to_be_read(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read_one_or_many(&body).map(|body| match body {
            Body::One(field) => field.any_object().is_ok(),
            Body::Many(fields) => fields.iter().any(|field| field.any_object().is_ok()),
        });
    }

    #[test]
    fn no_member_is_too_odd_to_be_read(value in r#"[\[\]{}",:0-9eE+.\-a-zA-Z\\\\ \PC]{0,24}"#) {
        let body = format!(r#"{{"at":{value}}}"#);
        if let Ok(members) = read(&body) && let Some(field) = members.optional("at") {
            let readings = [
                field.text().is_ok(),
                field.whole_number().is_ok(),
                field.elements().is_ok(),
                field.any_object().is_ok(),
            ];
            let kinds = readings.iter().filter(|is_read| **is_read).count();
            prop_assert!(kinds <= 1, "{} is of one kind", value);
            prop_assert!(field.moment().is_err() || readings[0]);
            prop_assert_eq!(field.object_text().is_ok(), value.trim_start().starts_with('{'));
        }
    }

    #[test]
    fn no_text_is_too_odd_for_a_moment(text in "[0-9TtZz:. +-]{0,40}") {
        if let Some(moment) = times::parse(&text) {
            let written = serde_json::to_value(times::ToTheMillisecond(moment)).unwrap();
            prop_assert_eq!(times::parse(written.as_str().unwrap()), Some(moment));
        }
    }
}
