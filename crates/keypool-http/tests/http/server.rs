//! How the API is carried: connections, deadlines, and the end of the server, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use keypool_http::{Drained, HttpSettings, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::pool::{ADMIN, Pool};

const SHORT: Option<Duration> = Some(Duration::from_millis(50));

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinSet<Drained>,
}

impl Server {
    async fn start(pool: &Pool, settings: HttpSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut serving = JoinSet::new();
        serving.spawn(serve(pool.engine.clone(), listener, settings, async {
            stopped.await.unwrap();
        }));
        Self { address, stop, serving }
    }

    async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Connection { stream, unread: Vec::new() }
    }

    async fn stop(self) -> Drained {
        let Self { stop, mut serving, .. } = self;
        stop.send(()).unwrap();
        serving.join_next().await.unwrap().unwrap()
    }
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn more(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.unwrap()
    }

    /// The next head, up to its empty line.
    async fn head(&mut self) -> String {
        loop {
            let end = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.unread.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert_ne!(self.more().await, 0, "the connection ended within a head");
        }
    }

    /// The next answer: its head and its body.
    async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        while self.unread.len() < length {
            assert_ne!(self.more().await, 0, "the connection ended within a body");
        }
        (head, String::from_utf8(self.unread.drain(..length).collect()).unwrap())
    }

    /// Everything up to the connection's end.
    async fn rest(mut self) -> String {
        while self.stream.read_buf(&mut self.unread).await.is_ok_and(|read| read > 0) {}
        String::from_utf8(self.unread).unwrap()
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\r\n")
}

fn post_head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\
         Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn connections_are_kept_and_pipelined() {
    let pool = Pool::with_tier().await;
    pool.add_key("k", "").await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    connection.send(&get("/key?feature=f")).await;
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.contains("\"value\":\"value of k\""));
    connection.send(&(get("/health") + &get("/nowhere") + &get("/health"))).await;
    for status in ["200", "404", "200"] {
        let (head, _) = connection.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    drop(connection);
    assert_eq!(server.stop().await, Drained::All);
}

#[tokio::test]
async fn head_has_the_length_of_get() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    connection.send(&get("/health").replace("GET", "HEAD")).await;
    let head = connection.head().await;
    assert!(head.contains("content-length: 15\r\n"), "{head}");
    connection.send(&get("/health")).await;
    assert_eq!(connection.answer().await.1, r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn who_closes_its_half_still_gets_the_answer() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    connection.send(&get("/admin/usage")).await;
    connection.stream.shutdown().await.unwrap();
    assert!(connection.rest().await.ends_with("\r\n\r\n[]"));
}

#[tokio::test]
async fn what_hyper_refuses_looks_like_ours() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let long = "x".repeat(70_000);
    let cases = [
        ("nonsense\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /a b HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned(), 400, "malformed_request"),
        (get(&format!("/{long}")), 414, "uri_too_long"),
        (
            format!("GET / HTTP/1.1\r\nA: {long}\r\nB: {long}\r\nC: {long}\r\n\r\n"),
            431,
            "headers_too_large",
        ),
    ];
    for (sent, status, code) in cases {
        let mut connection = server.connect().await;
        connection.send(&sent).await;
        let (head, body) = connection.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("x-request-id: ") && head.contains("cache-control: no-store\r\n"));
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{body}");
        assert_eq!(connection.rest().await, "", "the connection ends");
    }
}

#[tokio::test]
async fn a_request_without_host_is_malformed() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    for (sent, status) in [("HTTP/1.1\r\n", 400), ("HTTP/1.0\r\n", 200)] {
        let mut connection = server.connect().await;
        connection.send(&format!("GET /health {sent}\r\n")).await;
        let (head, _) = connection.answer().await;
        assert!(head.contains(&format!(" {status} ")), "{head}");
    }
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_sent() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    connection.send(&post_head("/admin/consumers", 3 << 20)).await;
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("connection: close\r\n"), "{head}");
    assert!(body.contains("body_too_large"));
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn who_writes_a_body_too_large_to_its_end_sees_why_it_is_refused() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    for (token, status) in [(ADMIN, 413), ("nobody", 401)] {
        let mut connection = server.connect().await;
        let length = 8 << 20;
        let head = post_head("/admin/consumers", length).replace("Expect: 100-continue\r\n", "");
        connection.send(&head.replace(ADMIN, token)).await;
        connection.send(&" ".repeat(length)).await;
        let (head, _) = connection.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        connection.send(&get("/health")).await;
        assert!(connection.answer().await.0.starts_with("HTTP/1.1 200 "), "the connection goes on");
    }
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let pool = Pool::new().await;
    let settings = HttpSettings { read_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut connection = server.connect().await;
    connection.send(&post_head("/admin/consumers", 12)).await;
    assert_eq!(connection.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.send("{\"name\"").await;
    let (head, _) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("connection: close\r\n"), "{head}");
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let pool = Pool::new().await;
    let settings = HttpSettings { read_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    assert_eq!(server.connect().await.rest().await, "", "nothing came");
    let mut connection = server.connect().await;
    connection.send("GET /health HTTP/1.1\r\n").await;
    assert_eq!(connection.rest().await, "", "half a head came");
}

#[tokio::test]
async fn an_idle_connection_ends_later_than_a_slow_head() {
    let pool = Pool::new().await;
    let settings = HttpSettings { read_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut idle = server.connect().await;
    idle.send(&get("/health")).await;
    idle.answer().await;
    // As long as it takes another connection to be given up.
    assert_eq!(server.connect().await.rest().await, "");
    idle.send(&get("/health")).await;
    assert!(idle.answer().await.0.starts_with("HTTP/1.1 200 "));
    idle.send("GET /hea").await;
    assert_eq!(idle.rest().await, "", "a slow head on a kept connection");
}

#[tokio::test]
async fn an_idle_connection_ends_at_last() {
    let pool = Pool::new().await;
    let settings = HttpSettings { idle_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut connection = server.connect().await;
    connection.send(&get("/health")).await;
    connection.answer().await;
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn requests_in_flight_finish_when_the_server_stops() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let address = server.address;
    let mut idle = server.connect().await;
    idle.send(&get("/health")).await;
    idle.answer().await;
    let mut busy = server.connect().await;
    busy.send(&post_head("/admin/consumers", 12)).await;
    assert_eq!(busy.head().await, "HTTP/1.1 100 Continue\r\n\r\n", "its answer has begun");

    let finish = async {
        assert_eq!(idle.rest().await, "", "idle connections end at once");
        assert!(TcpStream::connect(address).await.is_err(), "nobody is accepted any more");
        busy.send("{\"name\":\"c\"}").await;
        let (head, body) = busy.answer().await;
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
        assert!(body.contains("\"token\":"));
        assert_eq!(busy.rest().await, "");
    };
    let (drained, ()) = tokio::join!(server.stop(), finish);
    assert_eq!(drained, Drained::All);
}

#[tokio::test]
async fn requests_that_do_not_finish_are_cut() {
    let pool = Pool::new().await;
    let settings = HttpSettings { shutdown_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut busy = server.connect().await;
    busy.send(&post_head("/admin/consumers", 12)).await;
    busy.head().await;
    assert_eq!(server.stop().await, Drained::Cut(1));
    assert_eq!(busy.rest().await, "");
    assert_eq!(pool.get("/admin/consumers").await.text, "[]");
}
