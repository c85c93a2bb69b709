//! A consumer's token is replaced under load (promise 5): with an overlap no draw fails, without one the old token is
//! refused from the answer on.

use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{ADMIN_TOKEN, Answer, Connection, Server};

const CLIENTS: usize = 8;
/// Answers between two rotations.
const ANSWERS: usize = 300;

/// A server with keys that never run out, and a consumer with its first token.
struct Stage {
    server: Server,
    consumer: String,
    first: String,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &[("LOG_REQUESTS", "false")]);
        let made = |path: &str, body: serde_json::Value| {
            let made = server.request("POST", path, Some(ADMIN_TOKEN), Some(&body.to_string()));
            assert_eq!(made.status, 201, "{}", made.body);
            made.json()
        };
        made(
            "/admin/tiers",
            json!({ "name": "t", "features": { "f": { "rate_limit": 1_000_000_000 } } }),
        );
        made(
            "/admin/keys",
            json!([
                { "name": "k1", "key": "v1", "tier": "t" },
                { "name": "k2", "key": "v2", "tier": "t" },
            ]),
        );
        let consumer = made("/admin/consumers", json!({ "name": "c", "scopes": ["t"] }));
        let text = |member: &str| consumer[member].as_str().unwrap().to_owned();
        let (consumer, first) = (text("id"), text("token"));
        Self { server, consumer, first, _folder: folder }
    }

    fn issue(&self, body: Option<&str>) -> String {
        let path = format!("/admin/consumers/{}/token", self.consumer);
        let issued = self.server.request("POST", &path, Some(ADMIN_TOKEN), body);
        assert_eq!(issued.status, 201, "{}", issued.body);
        issued.json()["token"].as_str().unwrap().to_owned()
    }
}

fn draw(connection: &mut Connection, token: &str) -> Answer {
    connection.request("GET", "/key?feature=f", Some(token), None).unwrap()
}

fn connect(address: SocketAddr) -> Connection {
    Connection::try_open(address).unwrap()
}

/// Lets other threads go on until so many answers came.
fn wait_for(answers: &AtomicUsize, count: usize) {
    while answers.load(Ordering::SeqCst) < count {
        thread::yield_now();
    }
}

#[test]
fn a_token_that_is_replaced_with_an_overlap_fails_no_draw() {
    let stage = Stage::new();
    let address = stage.server.address;
    let token = RwLock::new(stage.first.clone());
    let (answers, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let refused: Vec<String> = thread::scope(|scope| {
        let client = || {
            let mut connection = connect(address);
            let mut refused = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let token = token.read().unwrap().clone();
                let answer = draw(&mut connection, &token);
                if answer.status != 200 {
                    refused.push(answer.body);
                }
                answers.fetch_add(1, Ordering::SeqCst);
            }
            refused
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for round in 1..=5 {
            wait_for(&answers, round * ANSWERS);
            *token.write().unwrap() = stage.issue(Some(r#"{"overlap_seconds":60}"#));
        }
        wait_for(&answers, 6 * ANSWERS);
        is_over.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(refused.is_empty(), "{} draws were refused: {}", refused.len(), refused[0]);
    let mut connection = connect(address);
    assert_eq!(draw(&mut connection, &stage.first).status, 200, "the overlap is not over");
    assert_eq!(draw(&mut connection, &token.read().unwrap()).status, 200);
}

#[test]
fn a_token_that_is_replaced_without_an_overlap_is_refused_from_the_answer_on() {
    let stage = Stage::new();
    let address = stage.server.address;
    let (answers, is_replaced) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (before, after): (Vec<u16>, Vec<u16>) = thread::scope(|scope| {
        let client = || {
            let mut connection = connect(address);
            let (mut before, mut after) = (Vec::new(), Vec::new());
            while after.len() < 50 {
                let is_after = is_replaced.load(Ordering::SeqCst);
                let status = draw(&mut connection, &stage.first).status;
                if is_after { &mut after } else { &mut before }.push(status);
                answers.fetch_add(1, Ordering::SeqCst);
            }
            (before, after)
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        wait_for(&answers, ANSWERS);
        let next = stage.issue(None);
        is_replaced.store(true, Ordering::SeqCst);
        assert_eq!(draw(&mut connect(address), &next).status, 200);
        let (before, after): (Vec<_>, Vec<_>) =
            clients.into_iter().map(|client| client.join().unwrap()).unzip();
        (before.concat(), after.concat())
    });
    assert!(before.iter().filter(|status| **status == 200).count() >= ANSWERS - CLIENTS);
    // 429: so many wrong tokens are too many.
    assert!(before.iter().all(|status| [200, 401, 429].contains(status)), "{before:?}");
    assert!(after.iter().all(|status| [401, 429].contains(status)), "{after:?}");
}
