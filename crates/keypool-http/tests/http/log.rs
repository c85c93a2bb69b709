//! The line that each request leaves in the log, and what never stands there (promise 8).

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use http::Method;
use keypool_http::{App, HttpSettings};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::pool::Step::Panic;
use crate::pool::{ADMIN, Answer, PEER, Pool, Scripted, request};

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Collects what this thread logs, on all levels.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Our own lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == "keypool_http").collect()
    }

    /// Those of requests.
    fn requests(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["fields"]["status"].is_u64()).collect()
    }
}

#[tokio::test]
async fn each_request_leaves_one_line() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let (id, token) = pool.add_consumer("c", &["t"]).await;
    let (log, _guard) = Log::start();
    let drawn = pool.draw(&token, "f").await;
    pool.delete(&format!("/admin/consumers/{id}/scopes/u")).await;
    let lines = log.requests();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["level"], "INFO");
    let fields = &line["fields"];
    assert_eq!((&fields["method"], &fields["path"]), (&"GET".into(), &"/key".into()));
    assert_eq!((&fields["route"], &fields["status"]), (&"/key".into(), &200.into()));
    assert_eq!((&fields["caller"], &fields["from"]), (&"c".into(), &PEER.to_string().into()));
    assert_eq!(fields["request_id"].as_str(), drawn.header("x-request-id"));
    assert!(fields["ms"].as_f64().is_some_and(|ms| ms >= 0.0));
    assert!(fields.get("code").is_none());
    let fields = &lines[1]["fields"];
    assert_eq!(fields["path"], format!("/admin/consumers/{id}/scopes/{{tier}}"));
    assert_eq!(fields["route"], "/admin/consumers/{id}/scopes/{tier}");
    assert_eq!((&fields["caller"], &fields["code"]), (&"admin".into(), &"unknown_tier".into()));
}

#[tokio::test]
async fn a_known_path_is_told_even_if_the_method_is_wrong() {
    let pool = Pool::new().await;
    let (log, _guard) = Log::start();
    let id = "0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b";
    let known = "/admin/keys/{id}";
    let cases = [
        (format!("/admin/keys/{id}"), 405, format!("/admin/keys/{id}"), known),
        ("/admin/keys/sesame".to_owned(), 405, known.to_owned(), known),
        ("/admin/sesame".to_owned(), 404, "-".to_owned(), "-"),
    ];
    for (asked, status, path, route) in cases {
        assert_eq!(pool.send(Method::PUT, &asked, ADMIN, "").await.status, status);
        let line = log.requests().pop().unwrap();
        let fields = &line["fields"];
        assert_eq!((&fields["path"], &fields["route"]), (&path.into(), &route.into()));
    }
}

/// Promise 8.
#[tokio::test]
async fn no_secret_is_ever_there() {
    let pool = Pool::with_tier().await;
    let (log, _guard) = Log::start();
    let key = r#"{"name":"k","key":"sesame-1","tier":"t","secrets":{"s":"sesame-2"}}"#;
    pool.post("/admin/keys", key).await;
    pool.post("/admin/keys", &key.replace("\"t\"", "5")).await;
    pool.post("/admin/keys", &key.replace('}', "")).await;
    pool.draw(ADMIN, "f").await;
    let (_, token) = pool.add_consumer("c", &["t"]).await;
    pool.draw(&token, "f").await;
    pool.draw("sesame-3", "f").await;
    pool.get("/key?feature=f&token=sesame-4").await;
    pool.get("/sesame-5").await;
    pool.delete("/admin/keys/sesame-6").await;
    pool.send("SESAME7".parse().unwrap(), "/key", "sesame-8", "sesame-9").await;
    let text = log.text();
    assert_eq!(log.requests().len(), 11);
    for secret in ["sesame", "SESAME", ADMIN, &token] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn failures_of_ours_are_logged_louder_and_always() {
    let pool = Pool::with_tier().await;
    let quiet = HttpSettings { log_requests: false, ..HttpSettings::default() };
    let app = App::new(pool.engine.clone(), &quiet);
    let (log, _guard) = Log::start();
    let get =
        |path| request(Method::GET, path, ADMIN, http_body_util::Empty::<bytes::Bytes>::new());
    keypool_http::answer(&app, get("/admin/keys"), None).await;
    assert_eq!(log.requests(), Vec::<Value>::new());
    let body = Scripted::new([Panic]);
    let failed = request(Method::POST, "/admin/consumers", ADMIN, body);
    let failed = Answer::of(keypool_http::answer(&app, failed, None).await).await;
    pool.engine.close().await;
    keypool_http::answer(&app, get("/admin/usage"), None).await;
    let lines = log.requests();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((&lines[0]["level"], &lines[1]["level"]), (&"ERROR".into(), &"WARN".into()));
    assert_eq!(lines[0]["fields"]["request_id"].as_str(), failed.header("x-request-id"));
    assert_eq!(lines[1]["fields"]["code"], "store_unavailable");
}
