//! Who guesses at tokens is throttled by where it comes from, and nobody else is.

use keypool_http::HttpSettings;
use serde_json::Value;

use crate::log::Log;
use crate::pool::{ADMIN, Pool};
use crate::sockets::{Connection, Server, get};

/// One whose peers are proxies.
async fn behind_a_proxy(pool: &Pool) -> Server {
    let trusted_proxies = "127.0.0.1".parse().unwrap();
    Server::start(pool, HttpSettings { trusted_proxies, ..HttpSettings::default() }).await
}

/// The answer to a request that a proxy forwards: its status, and all of it.
async fn ask(proxy: &mut Connection, token: &str, source: &str) -> (u16, String) {
    let forwarded = format!("X-Forwarded-For: 203.0.113.9, {source}\r\n\r\n");
    let request = get("/admin/tiers").replace(ADMIN, token).replace("\r\n\r\n", "\r\n");
    proxy.send(&(request + &forwarded)).await;
    let (head, body) = proxy.answer().await;
    (head.get(9..12).unwrap().parse().unwrap(), head + &body)
}

#[tokio::test]
async fn after_a_hundred_failures_a_source_is_told_429_but_never_with_a_valid_token() {
    let pool = Pool::new().await;
    let (_, consumer) = pool.add_consumer("c", &[]).await;
    let server = behind_a_proxy(&pool).await;
    let mut proxy = server.connect().await;
    for token in ["guess", "", "two words"].iter().cycle().take(100) {
        assert_eq!(ask(&mut proxy, token, "198.51.100.7").await.0, 401);
    }
    let (status, answer) = ask(&mut proxy, "guess", "198.51.100.7").await;
    assert_eq!(status, 429, "{answer}");
    assert!(answer.contains("\"code\":\"throttled\""), "{answer}");
    let retry_after = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&retry_after.parse::<u32>().unwrap()), "{answer}");

    assert_eq!(ask(&mut proxy, ADMIN, "198.51.100.7").await.0, 200);
    assert_eq!(ask(&mut proxy, &consumer, "198.51.100.7").await.0, 403);
    assert_eq!(ask(&mut proxy, "guess", "198.51.100.7").await.0, 429);
    assert_eq!(ask(&mut proxy, "guess", "198.51.100.8").await.0, 401, "another source");
}

/// Promise 8.
#[tokio::test]
async fn failures_are_logged_by_their_source_without_the_token_and_not_without_end() {
    let pool = Pool::new().await;
    let server = behind_a_proxy(&pool).await;
    let mut proxy = server.connect().await;
    let (log, _guard) = Log::start();
    for _ in 0..500 {
        ask(&mut proxy, "sesame", "198.51.100.7").await;
    }
    ask(&mut proxy, ADMIN, "198.51.100.7").await;
    assert!(!log.text().contains("sesame"));
    let lines = log.lines();
    let source = |line: &Value| {
        let fields = &line["fields"];
        fields.get("from").or(fields.get("last_from")).cloned()
    };
    assert!(lines.iter().all(|line| source(line) == Some("198.51.100.7".into())), "{lines:?}");
    let with = |message: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["fields"]["message"] == message).collect()
    };
    assert_eq!(with("answered").len(), 101, "the throttled have no line of their own");
    let refused = with("requests without a valid token were refused");
    let throttled =
        with("an address sends too many requests without a valid token, and is throttled");
    assert!((1..50).contains(&throttled.len()), "{throttled:?}");
    assert_eq!(throttled[0]["fields"]["from"], "198.51.100.7");
    // One a second, and how long 500 requests take is not known.
    assert!((1..50).contains(&refused.len()), "{refused:?}");
    assert_eq!(
        (&refused[0]["level"], &refused[0]["fields"]["failures"]),
        (&"WARN".into(), &1.into())
    );
}
