//! Each row of the table in docs/http.md, by what its peer does.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use super::OF_ADDRESS;
use super::peer::{HEALTH, Peer, after_answer, answer, ask, posting, send};
use crate::support::ADMIN_TOKEN;

/// What a peer does, told by what it got.
type Play = fn(&Peer) -> String;

/// All of them.
pub(super) const ALL: &[(&str, Play)] = &[
    ("sends nothing", Peer::stays_silent),
    ("sends its head slowly (slowloris)", |peer| peer.gets_slowly("GET /health HTTP/1.1\r\nA: ")),
    ("sends its body slowly", |peer| peer.gets_slowly(&posting("Content-Length: 1000"))),
    ("takes its answer slowly", takes_slowly),
    ("keeps a connection and asks nothing", |peer| {
        let mut stream = peer.idle().unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        "closed".to_owned()
    }),
    ("keeps 10,000 connections and asks nothing", keeps_many),
    ("opens more connections than one address may", opens_too_many),
    ("sends a giant head", |peer| peer.gets(&with(&format!("A: {}", "x".repeat(1 << 20))))),
    ("sends too many headers", |peer| peer.gets(&with(&["A: b"; 100].join("\r\n")))),
    ("sends a giant URI", |peer| peer.gets(&targeting(&format!("GET /{}", "x".repeat(9000))))),
    ("announces a giant body", |peer| {
        let sent = posting("Content-Length: 3000000") + &" ".repeat(3_000_000);
        let got = peer.gets(&sent);
        // Who asks before is told before, in place of `100 Continue`.
        let asking = posting("Expect: 100-continue\r\nContent-Length: 3000000");
        assert_eq!(peer.gets(&asking), format!("{got}, closed"));
        got
    }),
    ("sends a giant body in chunks", |peer| {
        let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
        let sent = posting("Transfer-Encoding: chunked") + &chunk.repeat(3) + "0\r\n\r\n";
        peer.gets(&sent)
    }),
    ("sends two lengths", |peer| peer.gets(&with("Content-Length: 2\r\nContent-Length: 2"))),
    ("sends a length that is no number", |peer| peer.gets(&with("Content-Length: +2"))),
    ("sends a length and chunks", |peer| {
        peer.gets(&with("Content-Length: 5\r\nTransfer-Encoding: chunked"))
    }),
    ("sends chunks by HTTP/1.0", |peer| {
        peer.gets("POST /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    }),
    ("sends another coding after chunks", |peer| {
        peer.gets(&with("Transfer-Encoding: chunked, identity"))
    }),
    ("sends another coding before chunks", |peer| {
        peer.gets(&with("Transfer-Encoding: gzip, chunked"))
    }),
    ("sends chunks that are not well-formed", |peer| {
        peer.gets(&(posting("Transfer-Encoding: chunked") + "zz\r\n{}\r\n0\r\n\r\n"))
    }),
    ("sends a request after chunks", |peer| {
        let mut stream = peer.connect();
        let first = with("Transfer-Encoding: chunked");
        send(&mut stream, &[&*first, "0\r\n\r\n", &with("A: b")].concat());
        assert!(answer(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
        assert_eq!(answer(&mut stream), None);
        "the first answered, then closed".to_owned()
    }),
    ("ends a line with a bare LF", |peer| peer.gets("GET /health HTTP/1.1\r\nHost: x\n\r\n")),
    ("folds a header", |peer| peer.gets(&with("A: b\r\n c"))),
    ("puts a space before a colon", |peer| peer.gets(&with("Content-Length : 5"))),
    ("sends a NUL byte", |peer| peer.gets(&with("A: b\0c"))),
    ("names no host", |peer| peer.gets("GET /health HTTP/1.1\r\nA: b\r\n\r\n")),
    ("names two hosts", |peer| peer.gets(&with("Host: x"))),
    ("names a host that is none", |peer| peer.gets("GET /health HTTP/1.1\r\nHost: x/y\r\n\r\n")),
    ("sends two tokens", |peer| {
        let token = format!("Authorization: Bearer {ADMIN_TOKEN}");
        let two = [&*token, &*token].join("\r\n");
        peer.gets(&format!("GET /admin/tiers HTTP/1.1\r\nHost: x\r\n{two}\r\n\r\n"))
    }),
    ("sends an absolute target with a user", |peer| peer.gets(&targeting("GET http://u@x/health"))),
    ("sends a target with a fragment", |peer| peer.gets(&targeting("GET /health#a"))),
    ("asks for a tunnel (CONNECT)", |peer| peer.gets(&targeting("CONNECT x:443"))),
    ("asks what the server can (OPTIONS *)", |peer| peer.gets(&targeting("OPTIONS *"))),
    ("asks to see its request (TRACE)", |peer| peer.gets(&targeting("TRACE /health"))),
    ("expects something else than 100-continue", |peer| peer.gets(&with("Expect: a-miracle"))),
    ("speaks HTTP/2", |peer| peer.gets("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    ("guesses at tokens", |peer| {
        let guess = "GET /admin/tiers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\n\r\n";
        let mut stream = peer.connect();
        for _ in 0..100 {
            assert!(ask(&mut stream, guess).unwrap().starts_with("HTTP/1.1 401 "));
        }
        stream.write_all(guess.as_bytes()).unwrap();
        let got = after_answer(&mut stream);
        let valid = guess.replace("guess", ADMIN_TOKEN);
        assert!(ask(&mut stream, &valid).unwrap().starts_with("HTTP/1.1 200 "));
        got
    }),
    ("scrapes metrics without pause", |peer| {
        let scrape = format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
        );
        let mut stream = peer.connect();
        // On a busy machine two seconds may pass before the eleventh, or the twenty-first.
        let refused = (0..1_000).find_map(|_| {
            send(&mut stream, &scrape);
            let got = after_answer(&mut stream);
            (got != "200").then_some(got)
        });
        refused.expect("it scrapes faster than that")
    }),
];

/// A request for something that everybody gets, with these headers.
fn with(headers: &str) -> String {
    format!("GET /health HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n")
}

/// A request for this.
fn targeting(method_and_target: &str) -> String {
    format!("{method_and_target} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Asks for more than sockets hold, and takes none of it for longer than the server waits.
fn takes_slowly(peer: &Peer) -> String {
    const REQUESTS: usize = 1_000;
    let mut stream = peer.connect();
    let mut requests = stream.try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        let many = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(REQUESTS);
        requests.write_all(many.as_bytes())
    });
    // Meanwhile so much time passes.
    for _ in 0..3 {
        peer.stays_silent();
    }
    let answers = std::iter::from_fn(|| answer(&mut stream)).count();
    assert!(answers < REQUESTS, "all was answered");
    let _ = asking.join();
    "cut".to_owned()
}

/// Opens one more than an address may have, all busy.
fn opens_too_many(peer: &Peer) -> String {
    let busy: Vec<_> = (0..OF_ADDRESS).map(|_| peer.busy().expect("there is a place")).collect();
    let got = peer.gets("");
    drop(busy);
    got
}

/// Keeps as many as an address may have, none of them busy.
fn keeps_many(peer: &Peer) -> String {
    let mut kept: Vec<_> = (0..OF_ADDRESS).map(|_| peer.idle().unwrap()).collect();
    // While two others are waited for, one after the other, these have waited for long enough.
    let other = Peer { from: Ipv4Addr::from_bits(peer.from.to_bits() | 0x80), ..*peer };
    other.stays_silent();
    other.stays_silent();
    let _newest = peer.idle().expect("there is a place");
    assert_eq!(ask(&mut kept[0], HEALTH), None);
    "the oldest closed".to_owned()
}
