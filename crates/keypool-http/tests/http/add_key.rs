use serde_json::json;

use crate::pool::{ADMIN, Pool};

const PATH: &str = "/admin/keys";

#[tokio::test]
async fn adds_a_key_and_echoes_its_expiry_as_sent() {
    let pool = Pool::with_tier().await;
    let body = r#"{"name":"k","key":"v-secret","tier":"t","expires_at":"2030-01-31T12:00:00+02:00",
        "usage_limit":1000,"usage_window_seconds":2592000,
        "metadata":{ "b":1 , "a":12345678901234567890},"secrets":{"w":"s-secret"}}"#;
    let added = pool.post(PATH, body).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let members = "id name tier expires_at usage_limit usage_window_seconds metadata secret_names";
    assert_eq!(added.members().join(" "), members);
    assert!(added.text.contains(r#"{ "b":1 , "a":12345678901234567890}"#), "{}", added.text);
    assert!(!added.text.contains("-secret"));
    let key = added.json();
    assert_eq!(key["expires_at"], "2030-01-31T12:00:00+02:00");
    assert_eq!(
        (&key["usage_limit"], &key["usage_window_seconds"]),
        (&json!(1000), &json!(2592000))
    );
    assert_eq!(key["secret_names"], json!(["w"]));
    assert_eq!(pool.get(PATH).await.json()[0]["id"], key["id"]);
    assert_eq!(pool.draw(ADMIN, "f").await.json()["value"], "v-secret");
}

#[tokio::test]
async fn null_members_and_an_empty_expiry_count_as_absent() {
    let pool = Pool::with_tier().await;
    let body = r#"{"name":"k","key":"v","tier":"t","expires_at":"","usage_limit":null,
        "usage_window_seconds":null,"metadata":null,"secrets":null}"#;
    let added = pool.post(PATH, body).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let key = added.json();
    assert!(key["expires_at"].is_null() && key["usage_limit"].is_null());
    assert_eq!(key["metadata"], json!({}));
    let null = r#"{"name":"k","key":"v","tier":"t","expires_at":null}"#;
    assert_eq!(pool.post(PATH, null).await.status, 201, "names need not differ");
}

#[tokio::test]
async fn values_come_out_as_they_went_in() {
    let pool = Pool::with_tier().await;
    let value = "a\"\\\u{0}\u{7f}é😀 enc:gcm:00";
    let body = json!({ "name": "k", "key": value, "tier": "t", "secrets": { "s": value } });
    assert_eq!(pool.post(PATH, &body.to_string()).await.status, 201);
    let drawn = pool.draw(ADMIN, "f").await.json();
    assert_eq!((&drawn["value"], &drawn["secrets"]["s"]), (&json!(value), &json!(value)));
}

#[tokio::test]
async fn does_not_know_every_tier() {
    let pool = Pool::with_tier().await;
    let one = pool.post(PATH, r#"{"name":"k","key":"v","tier":"u"}"#).await;
    one.expect_problem(404, "unknown_tier");
    let body = r#"[{"name":"k","key":"v","tier":"t"},{"name":"k","key":"v","tier":"u"}]"#;
    let detail = pool.post(PATH, body).await.expect_problem(404, "unknown_tier");
    assert!(detail["detail"].as_str().unwrap().contains("\"u\""), "{detail}");
    assert_eq!(pool.get(PATH).await.text, "[]", "all or none");
}

/// Promises 8 and 9.
#[tokio::test]
async fn names_what_is_invalid_repeats_no_secret_and_changes_nothing() {
    let pool = Pool::with_tier().await;
    let cases = [
        (r#""name":"k","key":"sesame""#, "tier"),
        (r#""name":"k","tier":"t""#, "key"),
        (r#""key":"sesame","tier":"t""#, "name"),
        (r#""name":"k","key":{"sesame":1},"tier":"t""#, "key"),
        (r#""name":"k","key":"","tier":"t""#, "key"),
        (r#""name":"k","key":"sesame","tier":["t"]"#, "tier"),
        (r#""name":"k","key":"sesame","tier":"t","usage_limt":5"#, "usage_limt"),
        (r#""name":"k","key":"sesame","key":"sesame","tier":"t""#, "key"),
        (r#""name":"k","key":"sesame","tier":"t","expires_at":5"#, "expires_at"),
        (r#""name":"k","key":"sesame","tier":"t","expires_at":"tomorrow""#, "expires_at"),
        (
            r#""name":"k","key":"sesame","tier":"t","expires_at":"2026-11-23T16:00:00Z""#,
            "expires_at",
        ),
        (
            r#""name":"k","key":"sesame","tier":"t","expires_at":"9999-12-31T23:59:59-01:00""#,
            "expires_at",
        ),
        (r#""name":"k","key":"sesame","tier":"t","usage_limit":"5""#, "usage_limit"),
        (r#""name":"k","key":"sesame","tier":"t","usage_limit":5.5"#, "usage_limit"),
        (r#""name":"k","key":"sesame","tier":"t","usage_limit":0"#, "usage_limit"),
        (r#""name":"k","key":"sesame","tier":"t","usage_limit":1000000000000001"#, "usage_limit"),
        (
            r#""name":"k","key":"sesame","tier":"t","usage_limit":99999999999999999999"#,
            "usage_limit",
        ),
        (
            r#""name":"k","key":"sesame","tier":"t","usage_window_seconds":5"#,
            "usage_window_seconds",
        ),
        (r#""name":"k","key":"sesame","tier":"t","metadata":[]"#, "metadata"),
        (r#""name":"k","key":"sesame","tier":"t","metadata":"{}""#, "metadata"),
        (r#""name":"k","key":"sesame","tier":"t","secrets":[]"#, "secrets"),
        (r#""name":"k","key":"sesame","tier":"t","secrets":{"s":null}"#, "secrets.s"),
        (r#""name":"k","key":"sesame","tier":"t","secrets":{"s":7357357}"#, "secrets.s"),
        (r#""name":"k","key":"sesame","tier":"t","secrets":{"s":""}"#, "secrets.s"),
        (r#""name":"k","key":"sesame","tier":"t","secrets":{"s":"sesame","s":"b"}"#, "secrets.s"),
        (r#""name":"k","key":"sesame","tier":"t","secrets":{"s":"\ud800"}"#, "secrets.s"),
    ];
    for (members, field) in cases {
        println!("{members}");
        let one = pool.post(PATH, &format!("{{{members}}}")).await;
        one.expect_invalid(field);
        let good = r#"{"name":"k","key":"v","tier":"t"}"#;
        let many = pool.post(PATH, &format!("[{good},{{{members}}}]")).await;
        many.expect_invalid(&format!("[1].{field}"));
        assert!(!one.text.contains("sesame") && !one.text.contains("7357357"), "{}", one.text);
    }
    assert_eq!(pool.get(PATH).await.text, "[]");
}

/// Promises 8 and 9.
#[tokio::test]
async fn what_is_no_object_is_refused() {
    let pool = Pool::with_tier().await;
    for body in ["", "null", "5", "\"k\"", "{", "[", "{}{}", "[] x", "{\"name\":\"sesame}"] {
        let refused = pool.post(PATH, body).await;
        refused.expect_problem(400, "malformed_request");
        assert!(!refused.text.contains("sesame"));
    }
    pool.post(PATH, "[[\"k\",\"v\",\"t\"]]").await.expect_invalid("[0]");
    pool.post(PATH, "[null]").await.expect_invalid("[0]");
}

#[tokio::test]
async fn an_array_adds_all_in_order() {
    let pool = Pool::with_tier().await;
    let body = r#" [{"name":"a","key":"1","tier":"t","expires_at":"2030-01-01T00:00:00Z"},
        {"name":"b","key":"2","tier":"t","secrets":{"s":"x"}}]"#;
    let added = pool.post(PATH, body).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let keys = added.json();
    assert_eq!((&keys[0]["name"], &keys[1]["name"]), (&json!("a"), &json!("b")));
    assert_eq!(keys[0]["expires_at"], "2030-01-01T00:00:00Z");
    assert!(keys[1]["expires_at"].is_null());
    assert_eq!(keys[1]["secret_names"], json!(["s"]));
    let listed = pool.get(PATH).await.json();
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&keys[0]["id"], &keys[1]["id"]));
}

#[tokio::test]
async fn an_array_takes_1_to_10_000_keys() {
    let pool = Pool::with_tier().await;
    assert_eq!(pool.post(PATH, "[]").await.status, 400);
    let array = |count: usize| {
        let key = r#"{"name":"k","key":"v","tier":"t"}"#;
        format!("[{}]", vec![key; count].join(","))
    };
    assert_eq!(pool.post(PATH, &array(10_001)).await.status, 400);
    assert_eq!(pool.get(PATH).await.text, "[]");
    let added = pool.post(PATH, &array(10_000)).await;
    assert_eq!((added.status, added.json().as_array().unwrap().len()), (201, 10_000));
}

#[tokio::test]
async fn names_the_key_that_holds_the_same_value_already() {
    let pool = Pool::with_tier().await;
    let id = pool.add_key("k", "").await;
    let body = |value: &str| json!({ "name": "l", "key": value, "tier": "t" });
    let like = pool.post(PATH, &body("value of k").to_string()).await;
    assert_eq!(like.json()["duplicate_of"], *id);
    assert_eq!(like.members().last().unwrap(), "duplicate_of");
    let other = pool.post(PATH, &body("another").to_string()).await;
    assert!(!other.members().contains(&"duplicate_of".to_owned()), "{}", other.text);
    let many = json!([body("new"), body("value of k"), body("new")]).to_string();
    let many = pool.post(PATH, &many).await.json();
    assert_eq!(many[0].get("duplicate_of"), None);
    assert_eq!((&many[1]["duplicate_of"], &many[2]["duplicate_of"]), (&json!(id), &many[0]["id"]));
}
