//! The document itself: whole, about every route and no other, with examples that hold.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::document::{self, DOCUMENT, complaints, followed};
use crate::pool::Pool;

#[tokio::test]
async fn anyone_may_read_it() {
    let pool = Pool::new().await;
    let answer = pool.send(Method::GET, "/openapi.json", "", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json(), *DOCUMENT);
    assert_eq!(answer.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn it_has_every_route_and_no_other() {
    let documented: BTreeSet<_> = document::operations()
        .map(|operation| {
            let id = operation.is["operationId"].as_str().unwrap();
            (operation.method.to_uppercase(), operation.path, id, who(&operation.is["security"]))
        })
        .collect();
    let routes: BTreeSet<_> = keypool_http::routes()
        .map(|route| (route.methods[0].to_owned(), route.path, route.endpoint, route.who))
        .collect();
    assert_eq!(documented, routes);
    for route in keypool_http::routes() {
        let has_head = route.methods.contains(&"HEAD");
        assert_eq!(has_head, route.methods[0] == "GET" && route.path != "/key", "{}", route.path);
    }
}

/// Who may call, by the security that the document demands.
fn who(security: &Value) -> &'static str {
    let schemes: Vec<_> =
        security.as_array().unwrap().iter().flat_map(|of| of.as_object().unwrap().keys()).collect();
    match schemes.iter().map(|scheme| scheme.as_str()).collect::<Vec<_>>()[..] {
        [] => "anyone",
        ["consumerToken", "adminToken"] => "caller",
        ["metricsToken", "adminToken"] => "scraper",
        ["adminToken"] => "admin",
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let mut named = BTreeSet::new();
    walk(&DOCUMENT, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            followed(value);
            named.insert(reference.to_owned());
        }
    });
    for kind in ["schemas", "headers", "responses", "parameters"] {
        for name in DOCUMENT["components"][kind].as_object().into_iter().flat_map(|of| of.keys()) {
            let reference = format!("#/components/{kind}/{name}");
            assert!(named.contains(&reference), "{reference} is not used");
        }
    }
}

#[test]
fn every_example_holds_and_every_schema_has_its_words() {
    walk(&DOCUMENT, &mut |value| {
        let schema = value.get("schema").unwrap_or(value);
        let examples = value["examples"].as_array().into_iter().flatten();
        for example in examples.chain(value.get("example")) {
            let complaints = complaints(schema, example);
            assert!(complaints.is_empty(), "{example}: {complaints:?}");
        }
    });
    for operation in document::operations() {
        let is = operation.is;
        assert!(is["summary"].is_string() && is["tags"].is_array(), "{operation:?}");
        for response in is["responses"].as_object().unwrap().values() {
            assert!(followed(response)["description"].is_string(), "{operation:?}");
        }
        for parameter in is["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{operation:?} {parameter}");
        }
    }
}

/// The bounds that the document states are the server's own: the last that is allowed is taken, the next is not.
#[tokio::test]
async fn its_bounds_are_the_servers() {
    let pool = Pool::with_tier().await;
    let schema = |name: &str, pointer: &str| {
        let found = DOCUMENT["components"]["schemas"][name].pointer(pointer);
        usize::try_from(found.and_then(Value::as_u64).unwrap()).unwrap()
    };
    let name = |length: usize| "n".repeat(length);
    let features = |count: usize| -> Value {
        (0..count)
            .map(|n| (format!("f{n}"), json!({ "rate_limit": 1 })))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let tier = |name: &str, features: Value| json!({ "name": name, "features": features });
    let limited = |rate: usize, window: usize| json!({ "f": { "rate_limit": rate, "window_seconds": window } });
    let key = |more: Value| {
        let mut key = json!({ "name": "k", "key": "v", "tier": "t" });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let secrets = |count: usize| -> Value {
        let secrets = (0..count).map(|n| (format!("s{n}"), json!("v")));
        json!({ "secrets": secrets.collect::<serde_json::Map<_, _>>() })
    };
    let (tiers, keys) = ("/admin/tiers", "/admin/keys");
    type Case<'a> = (&'a str, usize, Box<dyn Fn(usize) -> Value + 'a>);
    let cases: [Case<'_>; 11] = [
        (tiers, schema("Name", "/maxLength"), Box::new(|n| tier(&name(n), limited(1, 1)))),
        (tiers, schema("Features", "/maxProperties"), Box::new(|n| tier("many", features(n)))),
        (
            tiers,
            schema("FeatureLimit", "/properties/rate_limit/maximum"),
            Box::new(|n| tier("rate", limited(n, 1))),
        ),
        (
            tiers,
            schema("FeatureLimit", "/properties/window_seconds/maximum"),
            Box::new(|n| tier("window", limited(1, n))),
        ),
        (
            tiers,
            schema("NewTier", "/properties/description/maxLength"),
            Box::new(
                |n| json!({ "name": "told", "description": name(n), "features": features(1) }),
            ),
        ),
        (keys, schema("Name", "/maxLength"), Box::new(|n| key(json!({ "name": name(n) })))),
        (keys, schema("Value", "/maxLength"), Box::new(|n| key(json!({ "key": name(n) })))),
        (
            keys,
            schema("NewKey", "/properties/usage_limit/maximum"),
            Box::new(|n| key(json!({ "usage_limit": n }))),
        ),
        (
            keys,
            schema("NewKey", "/properties/usage_window_seconds/maximum"),
            Box::new(|n| key(json!({ "usage_limit": 1, "usage_window_seconds": n }))),
        ),
        (
            keys,
            schema("NewKey", "/properties/secrets/maxProperties"),
            Box::new(|n| key(secrets(n))),
        ),
        (keys, schema("NewKeys", "/maxItems"), Box::new(|n| vec![key(json!({})); n].into())),
    ];
    for (path, most, body) in cases {
        let (last, next) = (body(most).to_string(), body(most + 1).to_string());
        let refused = pool.post(path, &next).await;
        assert_eq!(refused.status, 400, "{path} with {most} + 1: {}", refused.text);
        let taken = pool.post(path, &last).await;
        assert_eq!(taken.status, 201, "{path} with {most}: {}", taken.text);
    }
}

fn walk(value: &'static Value, visit: &mut impl FnMut(&'static Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| walk(member, visit)),
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
