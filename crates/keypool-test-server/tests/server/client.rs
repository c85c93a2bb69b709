//! A server on a fresh file, and its two clients.

use std::time::Duration;

use hyper_of_libsql::client::HttpConnector;
use keypool_test_server::{ServerSettings, TestServer};
use libsql::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server whose file goes with it.
pub(crate) struct Started {
    pub(crate) server: TestServer,
    _folder: TempDir,
}

/// What a raw request was answered. Status 0: nothing.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

pub(crate) async fn start() -> Started {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut ServerSettings)) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = ServerSettings::at(folder.path().join("test.db"));
    change(&mut settings);
    Started { server: TestServer::start(settings).await.unwrap(), _folder: folder }
}

/// A server with the table `t (a INTEGER PRIMARY KEY, b)`.
pub(crate) async fn start_with_table() -> (Started, Connection) {
    let started = start().await;
    let connection = started.connect().await;
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", ()).await.unwrap();
    (started, connection)
}

impl Started {
    pub(crate) async fn connect(&self) -> Connection {
        connect_as(&self.server, "").await
    }

    pub(crate) async fn pipeline(&self, body: &str) -> Raw {
        post(&self.server, "/v3/pipeline", body).await
    }

    pub(crate) async fn cursor(&self, body: &str) -> Raw {
        post(&self.server, "/v3/cursor", body).await
    }

    /// Executes a statement on a stream of its own, or that of a baton; the stream stays open.
    pub(crate) async fn on(&self, baton: Option<&str>, sql: &str) -> Raw {
        let baton = serde_json::to_string(&baton).unwrap();
        let sql = serde_json::to_string(sql).unwrap();
        self.pipeline(&format!(
            r#"{{"baton":{baton},"requests":[{{"type":"execute","stmt":{{"sql":{sql}}}}}]}}"#
        ))
        .await
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        number(&self.connect().await, sql).await
    }
}

impl Raw {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn baton(&self) -> String {
        self.json()["baton"].as_str().unwrap().to_owned()
    }

    /// The code of the first result's error.
    pub(crate) fn error_code(&self) -> String {
        self.json()["results"][0]["error"]["code"].as_str().unwrap_or("none").to_owned()
    }
}

pub(crate) async fn connect_as(server: &TestServer, token: &str) -> Connection {
    libsql::Builder::new_remote(server.url(), token.to_owned())
        .connector(HttpConnector::new())
        .build()
        .await
        .unwrap()
        .connect()
        .unwrap()
}

pub(crate) async fn number(connection: &Connection, sql: &str) -> i64 {
    let mut rows = connection.query(sql, ()).await.unwrap();
    rows.next().await.unwrap().unwrap().get(0).unwrap()
}

/// Waits until something holds, for ten seconds at most.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come to pass");
}

async fn post(server: &TestServer, path: &str, body: &str) -> Raw {
    request(server, "POST", path, body).await
}

/// One request on a connection of its own.
pub(crate) async fn request(server: &TestServer, method: &str, path: &str, body: &str) -> Raw {
    let address = server.url().replace("http://", "");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // A connection that is reset was answered nothing.
    let _ = socket.read_to_end(&mut received).await;
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Raw { status: 0, body: received };
    };
    let status = std::str::from_utf8(&received[9..12]).unwrap().parse().unwrap();
    Raw { status, body: received[end + 4..].to_vec() }
}
