//! The document at `/openapi.json` as a judge: every answer in these tests has to be one that it describes, and whatever
//! was asked successfully has to be something that it allows.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::pool::Answer;

/// The document as it is served.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi.json")).unwrap());

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Statuses of requests that are refused for how they are put, whatever they ask; the document's description has them.
const OF_ANY_REQUEST: [u16; 7] = [400, 408, 414, 417, 431, 501, 505];

/// One operation of the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) is: &'static Value,
}

/// All operations, in the order of the document.
pub(crate) fn operations() -> impl Iterator<Item = Operation> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, is)| Operation { method, path, is })
    })
}

/// What stands at a place of the document, references followed.
pub(crate) fn followed(mut value: &'static Value) -> &'static Value {
    while let Some(reference) = value["$ref"].as_str() {
        let place = reference.strip_prefix('#').unwrap();
        value = DOCUMENT.pointer(place).unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    value
}

/// What is wrong with a value by a schema of the document.
pub(crate) fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let rooted = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        Arc::new(options.build(&rooted).unwrap_or_else(|error| panic!("{error} in {schema}")))
    });
    let validator = Arc::clone(validator);
    drop(validators);
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Holds a request and its answer against the document.
#[track_caller]
pub(crate) fn judge(method: &Method, uri: &http::Uri, body: Option<&str>, answer: &Answer) {
    let Some(operation) = operation(method, uri.path()) else {
        assert!(
            [404, 405].contains(&answer.status) || OF_ANY_REQUEST.contains(&answer.status),
            "{method} {uri}: {answer:?}"
        );
        return judge_body(&problem(), method, answer, "a request of no operation");
    };
    let what = format!("{method} {uri} -> {}", answer.status);
    let responses = &operation.is["responses"];
    let response = &responses[answer.status.to_string()];
    if response.is_null() && OF_ANY_REQUEST.contains(&answer.status) {
        return judge_body(&problem(), method, answer, &what);
    }
    assert!(!response.is_null(), "{what} is not documented: {answer:?}");
    let response = followed(response);
    judge_headers(response, answer, &what);
    judge_body(&response["content"], method, answer, &what);
    if answer.status < 300 {
        judge_query(operation, uri.query().unwrap_or_default(), &what);
        judge_request(operation, body.unwrap_or_default(), &what);
    }
}

fn problem() -> Value {
    json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
}

/// The operation of a method and path; HEAD is GET's, but for a draw.
fn operation(method: &Method, path: &str) -> Option<Operation> {
    let method = match method.as_str() {
        "HEAD" if path != "/key" => "get".to_owned(),
        method => method.to_lowercase(),
    };
    let fits = |pattern: &str| {
        let (pattern, path): (Vec<_>, Vec<_>) =
            (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len()
            && pattern.iter().zip(&path).all(|(expected, actual)| {
                expected == actual || (expected.starts_with('{') && !actual.is_empty())
            })
    };
    // A path without a variable part is found before one that has it.
    let mut found: Vec<_> = operations().filter(|operation| fits(operation.path)).collect();
    found.sort_by_key(|operation| operation.path.contains('{'));
    let path = found.first()?.path;
    found.into_iter().find(|operation| operation.path == path && operation.method == method)
}

#[track_caller]
fn judge_headers(response: &'static Value, answer: &Answer, what: &str) {
    let documented = response["headers"].as_object().unwrap();
    for (name, header) in documented {
        let header = followed(header);
        let is_required = header["required"] == true;
        match answer.header(name) {
            Some(text) => {
                expect_valid(&header["schema"], &text_as_value(&header["schema"], text), what);
            }
            None => assert!(!is_required, "{what} lacks {name}"),
        }
    }
    for name in ["Retry-After", "WWW-Authenticate", "Allow", "Link"] {
        let is_told = answer.header(name).is_some();
        assert!(!is_told || documented.contains_key(name), "{what}: {name} is not documented");
    }
}

#[track_caller]
fn judge_body(content: &Value, method: &Method, answer: &Answer, what: &str) {
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    let media = &content[kind];
    assert!(!media.is_null(), "{what}: {kind:?} is not documented");
    if method == Method::HEAD {
        assert_eq!(answer.text, "", "{what}");
    } else if kind.ends_with("json") {
        expect_valid(&media["schema"], &answer.json(), what);
    }
}

#[track_caller]
fn judge_query(operation: Operation, query: &str, what: &str) {
    let parameters = operation.is["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name);
        let Some(parameter) = parameter else {
            let ignores_others = matches!(operation.path, "/key" | "/health");
            assert!(ignores_others, "{what}: the parameter {name} is not documented");
            continue;
        };
        if !value.contains(['%', '+']) {
            let value = text_as_value(&parameter["schema"], value);
            expect_valid(&parameter["schema"], &value, what);
        }
    }
}

#[track_caller]
fn judge_request(operation: Operation, body: &str, what: &str) {
    let schema = &operation.is["requestBody"]["content"]["application/json"]["schema"];
    if let (false, Ok(body)) = (schema.is_null(), serde_json::from_str(body)) {
        expect_valid(schema, &body, what);
    }
}

/// A header's or parameter's text, as its schema would have it.
fn text_as_value(schema: &Value, text: &str) -> Value {
    match (schema["type"].as_str(), text.parse::<f64>()) {
        (Some("integer"), Ok(number)) => number.into(),
        // `style` is form, `explode` is false.
        (Some("array"), _) => text.split(',').collect(),
        _ => text.into(),
    }
}

#[track_caller]
fn expect_valid(schema: &Value, value: &Value, what: &str) {
    let complaints = complaints(schema, value);
    assert!(complaints.is_empty(), "{what}: {complaints:#?}");
}
