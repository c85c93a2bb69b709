//! How many connections there may be, and who goes when there are too many.

use std::num::NonZeroU64;
use std::time::Duration;

use keypool_http::{ConnectionEvent, HttpSettings};

use crate::pool::Pool;
use crate::sockets::{Connection, Server, get, post_head};

const BODY: &str = r#"{"name":"c"}"#;

fn at_most(all: u64, of_address: u64) -> HttpSettings {
    HttpSettings {
        max_connections: NonZeroU64::new(all),
        max_connections_per_address: NonZeroU64::new(of_address),
        ..HttpSettings::default()
    }
}

/// A connection that was served and now waits.
async fn idle(server: &Server, from: &str) -> Connection {
    let mut connection = server.connect_from(from).await;
    connection.send(&get("/health")).await;
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{from}: {head}{body}");
    connection
}

/// One whose request is under way.
async fn busy(server: &Server, from: &str) -> Connection {
    let mut connection = server.connect_from(from).await;
    connection.send(&post_head("/admin/consumers", BODY.len())).await;
    assert_eq!(connection.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

async fn is_served(connection: &mut Connection) -> bool {
    connection.send(&get("/health")).await;
    connection.answer().await.0.starts_with("HTTP/1.1 200 ")
}

/// Lets it seem that time passes.
async fn wait(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn who_comes_too_many_is_told_so() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, at_most(2, 0)).await;
    let _first = busy(&server, "127.0.0.1").await;
    let second = idle(&server, "127.0.0.1").await;
    let mut third = server.connect().await;
    let (head, body) = third.answer().await;
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    assert!(
        head.contains("retry-after: 1\r\n") && head.contains("connection: close\r\n"),
        "{head}"
    );
    assert!(head.contains("x-request-id: ") && head.contains("cache-control: no-store\r\n"));
    assert!(body.contains("\"code\":\"overloaded\""), "{body}");
    assert_eq!(third.rest().await, "");

    // Its place is free once its end was seen.
    drop(second);
    while server.app.metrics().connections_open > 1 {
        tokio::task::yield_now().await;
    }
    idle(&server, "127.0.0.1").await;
}

#[tokio::test]
async fn who_waits_gives_way_and_who_is_answered_does_not() {
    let pool = Pool::new().await;
    let server = Server::start(&pool, at_most(2, 0)).await;
    let mut answered = busy(&server, "127.0.0.1").await;
    let waiting = idle(&server, "127.0.0.1").await;
    wait(Duration::from_secs(2)).await;
    let mut third = idle(&server, "127.0.0.1").await;
    assert_eq!(waiting.rest().await, "", "it gave way");
    answered.send(BODY).await;
    let (head, body) = answered.answer().await;
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}{body}");
    assert!(is_served(&mut answered).await && is_served(&mut third).await);

    let metrics = server.app.metrics();
    assert_eq!(metrics.connections_open, 2);
    let count = |event| metrics.connections.iter().find(|(kind, _)| *kind == event).unwrap().1;
    assert_eq!((count(ConnectionEvent::GivenUp), count(ConnectionEvent::RefusedInAll)), (1, 0));
}

#[tokio::test]
async fn an_address_has_its_limit_and_a_trusted_proxy_has_none() {
    let pool = Pool::new().await;
    let trusted_proxies = "127.0.0.3".parse().unwrap();
    let server = Server::start(&pool, HttpSettings { trusted_proxies, ..at_most(0, 2) }).await;
    let mut all = Vec::new();
    for from in ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.4"] {
        all.push(idle(&server, from).await);
    }
    let mut third = server.connect_from("127.0.0.2").await;
    let (head, body) = third.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 503 ") && body.contains("from your address"),
        "{head}{body}"
    );

    wait(Duration::from_secs(2)).await;
    let mut third = idle(&server, "127.0.0.2").await;
    assert_eq!(all.remove(0).rest().await, "", "the first of the same address gave way");
    assert!(is_served(&mut third).await);
    for other in &mut all {
        assert!(is_served(other).await);
    }
}
