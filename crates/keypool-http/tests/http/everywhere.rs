//! What holds for every route: who may call, in which order a request is judged, which headers an answer carries.

use http::Method;
use http_body_util::Empty;

use crate::pool::{ADMIN, Pool, request};

fn admin_routes() -> impl Iterator<Item = (Method, &'static str)> {
    let admin = keypool_http::routes().filter(|route| route.who == "admin");
    admin.map(|route| (route.methods[0].parse().unwrap(), route.path))
}

/// The path with something in the place of each `{…}`.
fn filled(path: &str) -> String {
    path.replace("{id}", "0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b").replace("{tier}", "t")
}

#[tokio::test]
async fn other_methods_are_405_with_those_allowed() {
    let pool = Pool::new().await;
    for path in keypool_http::routes().map(|route| route.path) {
        let of_path = keypool_http::routes().filter(|route| route.path == path);
        let allowed: Vec<&str> = of_path.flat_map(|route| route.methods).copied().collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            let answer = pool.send(method.parse().unwrap(), &filled(path), "", "").await;
            let is_allowed = allowed.contains(&method);
            assert_eq!(answer.status == 405, !is_allowed, "{method} {path}");
            if !is_allowed {
                assert_eq!(answer.header("allow"), Some(&*allowed.join(", ")));
            }
        }
    }
}

#[tokio::test]
async fn the_admins_paths_are_not_for_others() {
    let pool = Pool::with_tier().await;
    let (_, consumer) = pool.add_consumer("c", &["t"]).await;
    for (method, path) in admin_routes() {
        let path = filled(path);
        for token in ["", "nobody"] {
            let refused = pool.send(method.clone(), &path, token, "{").await;
            refused.expect_problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        }
        let refused = pool.send(method, &path, &consumer, "{").await;
        refused.expect_problem(403, "forbidden");
    }
}

/// Promise 9.
#[tokio::test]
async fn the_admins_paths_take_no_unknown_parameters() {
    let pool = Pool::with_tier().await;
    for (method, path) in admin_routes() {
        for (query, field) in [("tokne=1", "tokne"), ("x&x", "x")] {
            let path = format!("{}?{query}", filled(path));
            pool.send(method.clone(), &path, ADMIN, "").await.expect_invalid(field);
        }
        let path = format!("{}?%zz=1", filled(path));
        let refused = pool.send(method, &path, ADMIN, "").await;
        refused.expect_problem(400, "malformed_request");
    }
}

#[tokio::test]
async fn changes_are_503_once_the_store_is_closed() {
    let pool = Pool::with_tier().await;
    let id = pool.add_key("k", "").await;
    let (consumer, _) = pool.add_consumer("c", &["t"]).await;
    let empty = r#"{"name":"empty","features":{"f":{"rate_limit":1}}}"#;
    let tier = pool.post("/admin/tiers", empty).await.json()["id"].as_str().unwrap().to_owned();
    pool.engine.close().await;
    let changes = [
        (
            Method::POST,
            "/admin/tiers".to_owned(),
            r#"{"name":"u","features":{"f":{"rate_limit":1}}}"#,
        ),
        (Method::PATCH, "/admin/tiers".to_owned(), r#"{"name":"t","description":"d"}"#),
        (Method::PATCH, format!("/admin/tiers/{tier}"), r#"{"description":"d"}"#),
        (Method::DELETE, format!("/admin/tiers/{tier}"), ""),
        (Method::POST, "/admin/keys".to_owned(), r#"{"name":"k","key":"v","tier":"t"}"#),
        (Method::POST, "/admin/keys".to_owned(), r#"[{"name":"k","key":"v","tier":"t"}]"#),
        (Method::PATCH, format!("/admin/keys/{id}"), r#"{"name":"l"}"#),
        (Method::DELETE, format!("/admin/keys/{id}"), ""),
        (Method::POST, "/admin/consumers".to_owned(), r#"{"name":"d"}"#),
        (Method::PATCH, format!("/admin/consumers/{consumer}"), r#"{"is_active":false}"#),
        (Method::POST, format!("/admin/consumers/{consumer}/token"), ""),
        (Method::POST, format!("/admin/consumers/{consumer}/scopes"), r#"{"tier":"t"}"#),
        (Method::DELETE, format!("/admin/consumers/{consumer}/scopes/t"), ""),
        (Method::DELETE, format!("/admin/consumers/{consumer}"), ""),
    ];
    for (method, path, body) in changes {
        let failed = pool.send(method, &path, ADMIN, body).await;
        failed.expect_problem(503, "store_unavailable");
        assert_eq!(failed.header("retry-after"), Some("1"), "{path}");
    }
}

#[tokio::test]
async fn a_request_is_judged_by_path_method_token_right_input_and_state() {
    let pool = Pool::with_tier().await;
    let (_, consumer) = pool.add_consumer("c", &[]).await;
    let steps = [
        (Method::PUT, "/nowhere/nothing/scopes?x=1", "", "{", 404),
        (Method::PUT, "/admin/consumers/nobody/scopes?x=1", "", "{", 405),
        (Method::POST, "/admin/consumers/nobody/scopes?x=1", "", "{", 401),
        (Method::POST, "/admin/consumers/nobody/scopes?x=1", &consumer, "{", 403),
        (Method::POST, "/admin/consumers/nobody/scopes?x=1", ADMIN, "{", 400),
        (Method::POST, "/admin/consumers/nobody/scopes", ADMIN, "{", 400),
        (Method::POST, "/admin/consumers/nobody/scopes", ADMIN, r#"{"tier":"t"}"#, 404),
    ];
    for (method, path, token, body, status) in steps {
        assert_eq!(pool.send(method, path, token, body).await.status, status);
    }
}

#[tokio::test]
async fn other_paths_are_404() {
    let pool = Pool::new().await;
    for path in ["/", "/health/", "/Health", "/admin", "/admin/keys/", "/admin/keys/a/b", "//key"] {
        pool.get(path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_not_stored() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    for path in ["/health", "/key?feature=f", "/admin/keys", "/nowhere", "/key", "/key?feature=u"] {
        let answer = pool.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36), "{path}");
    }
    let mut asked = request(Method::GET, "/nowhere", "", Empty::<bytes::Bytes>::new());
    asked.headers_mut().insert("x-request-id", "mine 1".parse().unwrap());
    assert_eq!(pool.call(asked).await.header("x-request-id"), Some("mine 1"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let pool = Pool::with_tier().await;
    for path in [
        "/admin/tiers",
        "/admin/keys",
        "/admin/consumers",
        "/admin/usage",
        "/admin/changes",
        "/admin/health",
        "/metrics",
    ] {
        let get = pool.get(path).await;
        let head = pool.send(Method::HEAD, path, ADMIN, "").await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.header("content-length"), Some(&*get.text.len().to_string()));
        let refused = pool.send(Method::HEAD, path, "", "").await;
        assert_eq!((refused.status, refused.text.as_str()), (401, ""));
    }
}

#[tokio::test]
async fn exactly_one_authorization_header_in_any_case_of_the_scheme() {
    let pool = Pool::new().await;
    let with = |values: &[&str]| {
        let mut asked = request(Method::GET, "/admin/keys", "", Empty::<bytes::Bytes>::new());
        for value in values {
            asked.headers_mut().append("authorization", value.parse().unwrap());
        }
        asked
    };
    let bearer = format!("bEARER {ADMIN}");
    assert_eq!(pool.call(with(&[&bearer])).await.status, 200);
    let refused: [&[&str]; 5] =
        [&[&bearer, &bearer], &[ADMIN], &["Basic YTpi"], &["Bearer"], &[""]];
    for values in refused {
        pool.call(with(values)).await.expect_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn exactly_one_host_header() {
    let pool = Pool::new().await;
    let mut asked = request(Method::GET, "/health", "", Empty::<bytes::Bytes>::new());
    asked.headers_mut().append("host", "other".parse().unwrap());
    pool.call(asked).await.expect_problem(400, "malformed_request");
    let mut asked = request(Method::GET, "/health", "", Empty::<bytes::Bytes>::new());
    asked.headers_mut().remove("host");
    pool.call(asked).await.expect_problem(400, "malformed_request");
    let mut asked = request(Method::GET, "/health", "", Empty::<bytes::Bytes>::new());
    asked.headers_mut().remove("host");
    *asked.version_mut() = http::Version::HTTP_10;
    assert_eq!(pool.call(asked).await.status, 200);
}
