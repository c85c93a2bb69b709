//! How the API is carried: connections, deadlines, and the end of the server, over real sockets.

use std::num::NonZeroU64;
use std::time::Duration;

use keypool_http::{Drained, HttpSettings};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::pool::{ADMIN, Pool};
use crate::sockets::{Server, get, post_head};

const SHORT: Option<Duration> = Some(Duration::from_millis(50));

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

fn with_headers(headers: &str) -> String {
    format!("POST /admin/tiers HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

#[tokio::test]
async fn a_head_that_is_refused_gets_an_answer_of_ours_and_ends_the_connection() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let long = "x".repeat(70_000);
    let malformed = [
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \0\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\n\r\n",
        &with_headers("A : b\r\n"),
        &with_headers("A: b\rc\r\n"),
        &with_headers("no header\r\n"),
        &with_headers("Content-Length : 5\r\n"),
        &with_headers("Transfer-Encoding\r\n : chunked\r\n"),
        &with_headers("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        &get("/health").replace("Host: localhost\r\n", ""),
        &get("/health").replace("Host: localhost\r\n", "Host: a\r\nHost: a\r\n"),
        &get("/health").replace("localhost", "a b"),
        &get("http://user@localhost/health"),
        &get("/health").replace("/health", "localhost"),
    ];
    let others = [
        (get(&format!("/{long}")), 414, "uri_too_long"),
        (with_headers(&format!("A: {long}\r\n")), 431, "headers_too_large"),
        (with_headers(&"A: b\r\n".repeat(100)), 431, "headers_too_large"),
        (with_headers("Transfer-Encoding: gzip, chunked\r\n"), 501, "not_implemented"),
        (with_headers("Expect: a miracle\r\n"), 417, "expectation_failed"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505, "version_not_supported"),
        (get("x:443").replace("GET", "CONNECT"), 501, "not_implemented"),
        (get("*").replace("GET", "OPTIONS"), 501, "not_implemented"),
    ];
    let malformed = malformed.map(|sent| (sent.to_owned(), 400, "malformed_request"));
    for (sent, status, code) in malformed.into_iter().chain(others) {
        let mut connection = server.connect().await;
        connection.send(&(sent.clone() + &get("/health"))).await;
        let (head, body) = connection.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}: {head}{body}");
        assert!(head.contains("x-request-id: ") && head.contains("cache-control: no-store\r\n"));
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{sent:?}: {body}");
        assert_eq!(connection.rest().await, "", "nothing after it is a request");
    }
}

#[tokio::test]
async fn an_absolute_target_is_served_and_trace_is_a_method_like_others() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    connection.send(&get("http://elsewhere.example:80/health")).await;
    assert!(connection.answer().await.0.starts_with("HTTP/1.1 200 "));
    connection.send(&get("/health").replace("GET", "TRACE")).await;
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET, HEAD\r\n"), "{head}");
    assert!(!body.contains(ADMIN));
}

#[tokio::test]
async fn who_sends_two_tokens_is_refused_and_gets_no_further() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    let token = format!("Authorization: Bearer {ADMIN}\r\n");
    let two = get("/admin/keys").replace(&token, &token.repeat(2));
    connection.send(&(two + &get("/health"))).await;
    let (head, _) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 401 ") && head.contains("connection: close\r\n"), "{head}");
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_body_in_chunks_is_the_last_of_its_connection() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let head = post_head("/admin/consumers", 0).replace("Expect: 100-continue\r\n", "");
    let head = head.replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let cases = [
        ("5\r\n{\"nam\r\n8\r\ne\":\"c1\"}\r\n0\r\n\r\n", 201),
        ("d;extension=1\r\n{\"name\":\"c2\"}\r\n0\r\nTrailer: x\r\n\r\n", 201),
        ("x\r\n{\"name\":\"c3\"}\r\n0\r\n\r\n", 400),
        ("d\r\n{\"name\":\"c4\"}0\r\n\r\n", 400),
        ("fffffffffffffffff\r\n", 400),
    ];
    for (chunks, status) in cases {
        let mut connection = server.connect().await;
        connection.send(&(head.clone() + chunks + &get("/health"))).await;
        let (head, body) = connection.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{chunks:?}: {head}{body}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert_eq!(connection.rest().await, "", "{chunks:?}: nothing after it is a request");
    }
}

#[tokio::test]
async fn a_connection_has_so_many_requests_and_no_more() {
    let pool = Pool::new().await;
    let settings = HttpSettings { max_requests: NonZeroU64::new(3), ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut connection = server.connect().await;
    connection.send(&get("/health").repeat(4)).await;
    for ends in [false, false, true] {
        let (head, _) = connection.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(head.contains("connection: close\r\n"), ends, "{head}");
    }
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_request_has_its_time_whatever_it_waits_for() {
    let pool = Pool::new().await;
    let settings =
        HttpSettings { read_timeout: None, request_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut connection = server.connect().await;
    for _ in 0..2 {
        connection.send(&get("/health")).await;
        assert!(connection.answer().await.0.starts_with("HTTP/1.1 200 "));
    }
    connection.send(&post_head("/admin/consumers", 12)).await;
    assert_eq!(connection.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("connection: close\r\n"), "{head}");
    assert!(body.contains("\"code\":\"commit_in_doubt\""), "{body}");
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_request_of_http_1_0_needs_no_host() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, HttpSettings::default()).await;
    let mut connection = server.connect().await;
    connection.send("GET /health HTTP/1.0\r\n\r\n").await;
    let (head, _) = connection.answer().await;
    assert!(head.contains(" 200 "), "{head}");
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
async fn a_slow_head_is_408_and_silence_the_end() {
    let pool = Pool::new().await;
    let settings = HttpSettings { header_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    assert_eq!(server.connect().await.rest().await, "", "nothing came");
    let mut connection = server.connect().await;
    connection.send("GET /health HTTP/1.1\r\n").await;
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("connection: close\r\n"), "{head}");
    assert!(body.contains("\"code\":\"head_timeout\""), "{body}");
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_ends_later_than_a_slow_head() {
    let pool = Pool::new().await;
    let settings = HttpSettings { header_timeout: SHORT, ..HttpSettings::default() };
    let server = Server::start(&pool, settings).await;
    let mut idle = server.connect().await;
    idle.send(&get("/health")).await;
    idle.answer().await;
    // As long as it takes another connection to be given up.
    assert_eq!(server.connect().await.rest().await, "");
    idle.send(&get("/health")).await;
    assert!(idle.answer().await.0.starts_with("HTTP/1.1 200 "));
    idle.send("GET /hea").await;
    assert!(idle.answer().await.0.starts_with("HTTP/1.1 408 "), "a slow head on a kept connection");
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
