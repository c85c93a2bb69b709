//! A pool in a temporary folder, and the ways to call it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use keypool_engine::{
    Clock, Engine, EngineSettings, ManualClock, PruneSettings, Sealer, SqliteSettings, Synchronous,
    Timestamp, TokenDigest,
};
use keypool_http::{App, HttpSettings, answer};
use serde_json::Value;
use tempfile::TempDir;

use crate::document;

pub(crate) const ADMIN: &str = "the-admins-token";
pub(crate) const METRICS: &str = "the-token-for-metrics";

/// Where all calls come from.
pub(crate) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// 2026-11-23T16:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_449_600_000);

pub(crate) struct Pool {
    pub(crate) engine: Engine,
    pub(crate) clock: ManualClock,
    app: App,
    folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Pool {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(START);
        let engine = Engine::open(EngineSettings {
            store: store_in(&folder).into(),
            sealer: Sealer::plain(),
            admin_tokens: vec![TokenDigest::of(ADMIN)],
            clock: Clock::Manual(clock.clone()),
            accept_clock: false,
        })
        .await
        .unwrap();
        let metrics_token = Some(TokenDigest::of(METRICS));
        let settings = HttpSettings { metrics_token, ..HttpSettings::default() };
        let app = App::new(engine.clone(), &settings);
        Self { engine, clock, app, folder }
    }

    /// A pool with the tier `t`, which covers `f` (2 calls a minute) and `g` (5 in 10 s).
    pub(crate) async fn with_tier() -> Self {
        let pool = Self::new().await;
        let tier = r#"{"name":"t","features":{
            "f":{"rate_limit":2,"window_seconds":60},"g":{"rate_limit":5,"window_seconds":10}}}"#;
        assert_eq!(pool.post("/admin/tiers", tier).await.status, 201);
        pool
    }

    /// Every answer is held against the document of the API.
    pub(crate) async fn call<B: Body>(&self, request: Request<B>) -> Answer {
        self.judged(request, None).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: &str) -> Answer {
        let sent = Full::new(Bytes::from(body.to_owned()));
        self.judged(request(method, path, token, sent), Some(body)).await
    }

    async fn judged<B: Body>(&self, request: Request<B>, body: Option<&str>) -> Answer {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = Answer::of(answer(&self.app, request, Some(PEER)).await).await;
        document::judge(&method, &uri, body, &answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, ADMIN, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, ADMIN, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &str) -> Answer {
        self.send(Method::PATCH, path, ADMIN, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, ADMIN, "").await
    }

    /// Adds a key to the tier `t`; `more` are further members. Returns its id.
    pub(crate) async fn add_key(&self, name: &str, more: &str) -> String {
        let body = format!(r#"{{"name":"{name}","key":"value of {name}","tier":"t"{more}}}"#);
        let added = self.post("/admin/keys", &body).await;
        assert_eq!(added.status, 201, "{}", added.text);
        added.json()["id"].as_str().unwrap().to_owned()
    }

    /// Adds a consumer with these scopes. Returns its id and token.
    pub(crate) async fn add_consumer(&self, name: &str, scopes: &[&str]) -> (String, String) {
        let body = serde_json::json!({ "name": name, "scopes": scopes }).to_string();
        let added = self.post("/admin/consumers", &body).await;
        assert_eq!(added.status, 201, "{}", added.text);
        let added = added.json();
        let text = |member: &str| added[member].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    /// Takes out the usage events from before this moment's day, as `keypooler prune` does beside a server.
    pub(crate) async fn prune(&self, before: Timestamp) {
        let settings = PruneSettings {
            store: store_in(&self.folder).into(),
            before,
            clock: Clock::Manual(self.clock.clone()),
            dry_run: false,
        };
        keypool_engine::prune(settings, |_| Ok(()), |_, _| ()).await.unwrap();
    }

    /// The id of the tier of that name.
    pub(crate) async fn tier_id(&self, name: &str) -> String {
        let tiers = self.get("/admin/tiers").await.json();
        let tier = tiers.as_array().unwrap().iter().find(|tier| tier["name"] == name);
        tier.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn draw(&self, token: &str, feature: &str) -> Answer {
        self.send(Method::GET, &format!("/key?feature={feature}"), token, "").await
    }
}

impl Answer {
    pub(crate) async fn of<B: Body<Error: std::fmt::Debug>>(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Self { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The members' names, in order.
    pub(crate) fn members(&self) -> Vec<String> {
        members_of(&self.text)
    }

    /// Checks that this is bad news in the documented form, of this status and code. Returns it.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert_eq!(problem["error"], problem["detail"]);
        problem
    }

    /// Checks that this is a 400 that names the field.
    #[track_caller]
    pub(crate) fn expect_invalid(&self, field: &str) {
        assert_eq!(self.expect_problem(400, "invalid_field")["field"], field, "{self:?}");
    }
}

fn store_in(folder: &TempDir) -> SqliteSettings {
    SqliteSettings {
        path: folder.path().join("pool.db"),
        synchronous: Synchronous::Normal,
        busy_timeout: Duration::from_secs(5),
    }
}

/// The names of the members of a JSON object, in order.
pub(crate) fn members_of(object: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut start = None;
    let mut last_text = String::new();
    let mut is_escaped = false;
    for (at, character) in object.char_indices() {
        match (character, start) {
            (_, Some(_)) if is_escaped => is_escaped = false,
            ('\\', Some(_)) => is_escaped = true,
            ('"', None) => start = Some(at + 1),
            ('"', Some(from)) => {
                last_text = object.get(from..at).unwrap().to_owned();
                start = None;
            }
            ('{' | '[', None) => depth += 1,
            ('}' | ']', None) => depth -= 1,
            (':', None) if depth == 1 => names.push(last_text.clone()),
            _ => {}
        }
    }
    names
}

pub(crate) fn request<B>(method: Method, path: &str, token: &str, body: B) -> Request<B> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = match token {
        "" => request,
        token => request.header("authorization", format!("Bearer {token}")),
    };
    request.body(body).unwrap()
}

/// A body that does as it is told.
pub(crate) struct Scripted {
    steps: VecDeque<Step>,
    declared: u64,
}

pub(crate) enum Step {
    Send(Bytes),
    Hang,
    BreakOff,
    Panic,
}

impl Scripted {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), declared: 0 }
    }

    /// The same, with a length that was announced.
    pub(crate) fn declared(self, length: u64) -> Self {
        Self { declared: length, ..self }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Send(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Step::BreakOff) => Poll::Ready(Some(Err("broken"))),
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                Poll::Pending
            }
            Some(Step::Panic) => panic!("a bug in a test"),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.declared);
        hint
    }
}
