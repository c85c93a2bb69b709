//! Serving and its end (promises 3 and 8 among it): signals, drains, taken ports and files, readers that went away.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::support::{ADMIN_TOKEN, Connection, Server, run};

const TIER: &str = r#"{"name":"t","features":{"f":{"rate_limit":5}}}"#;

/// A request that the server has begun to read and that `finish` completes.
fn request_in_flight(server: &Server) -> Connection {
    let mut connection = server.connect();
    // One that is answered, so that the server is known to have accepted the connection.
    let health = connection.request("GET", "/health", None, None).unwrap();
    assert_eq!(health.status, 200);
    let head = format!(
        "POST /admin/tiers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        TIER.len()
    );
    connection.send(head.as_bytes()).unwrap();
    // The server asks for the body only once the request is in its hands.
    let go_on = connection.answer("HEAD").unwrap();
    assert_eq!(go_on.status, 100);
    connection
}

#[test]
fn a_signal_lets_requests_in_flight_finish_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &[]);
        let mut in_flight = request_in_flight(&server);
        let mut idle = server.connect();
        idle.request("GET", "/health", None, None).unwrap();

        server.signal(signal);
        server.wait_for_line(|line| line.contains("draining"));
        assert!(idle.is_closed(), "an idle connection does not hold up the end");
        in_flight.send(TIER.as_bytes()).unwrap();
        let answer = in_flight.answer("POST").unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(server.wait(), Some(0), "{}", server.log());
        assert!(TcpStream::connect(server.address).is_err());

        let server = Server::start(folder.path(), &[]);
        let tiers = server.request("GET", "/admin/tiers", Some(ADMIN_TOKEN), None);
        assert_eq!(tiers.json()[0]["name"], "t", "{}", tiers.body);
    }
}

/// Promise 3.
#[test]
fn what_was_answered_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let added = server.request("POST", "/admin/tiers", Some(ADMIN_TOKEN), Some(TIER));
    assert_eq!(added.status, 201, "{}", added.body);
    server.kill();

    let server = Server::start(folder.path(), &[]);
    let tiers = server.request("GET", "/admin/tiers", Some(ADMIN_TOKEN), None);
    assert_eq!(tiers.json()[0]["name"], "t", "{}", tiers.body);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures how long an end takes")]
fn a_second_signal_ends_at_once_however_soon_it_comes() {
    let mut took = Vec::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = tempfile::tempdir().unwrap();
        let for_ever =
            [("SERVER_READ_TIMEOUT_SECONDS", "0"), ("SERVER_SHUTDOWN_TIMEOUT_SECONDS", "0")];
        let mut server = Server::start(folder.path(), &for_ever);
        let _in_flight = request_in_flight(&server);
        server.signal(signal);
        server.wait_for_line(|line| line.contains("draining"));
        let again = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait(), Some(code), "{}", server.log());
        took.push(again.elapsed());
    }
    // A busy machine may hold up one of them.
    assert!(took.iter().min() < Some(&Duration::from_millis(500)), "{took:?}");
}

#[test]
fn a_drain_waits_no_longer_than_it_is_allowed_to() {
    let folder = tempfile::tempdir().unwrap();
    let environment =
        [("SERVER_READ_TIMEOUT_SECONDS", "0"), ("SERVER_SHUTDOWN_TIMEOUT_SECONDS", "1")];
    let mut server = Server::start(folder.path(), &environment);
    let mut in_flight = request_in_flight(&server);
    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    assert!(in_flight.is_closed());
}

#[test]
fn listens_on_both_families_where_nothing_else_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_PORT", "0")];
    let server = Server::start_with(folder.path(), &[], &environment);
    assert_eq!(server.request("GET", "/health", None, None).status, 200);
    if server.log().contains("listening on [::]:") {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, server.address.port()));
        let mut connection = Connection::try_open(address).unwrap();
        assert_eq!(connection.request("GET", "/health", None, None).unwrap().status, 200);
    }
}

#[test]
fn a_second_server_on_the_same_file_is_refused_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let environment = [("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_PORT", "0")];
    let second = run(folder.path(), &[], &environment);
    let line = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{line}");
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert!(line.contains("pool.db"), "{line}");
    assert_eq!(server.request("GET", "/health", None, None).status, 200);
}

#[test]
fn a_taken_port_is_refused_before_the_database_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let environment =
        [("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", &port)];
    let output = run(folder.path(), &[], &environment);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains(&port) && line.contains("SERVER_PORT"), "{line}");
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_file_that_is_no_database_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    fs::write(&path, "these are notes, and no database at all").unwrap();
    let environment = [("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_PORT", "0"), ("DB_PATH", "notes.db")];
    let output = run(folder.path(), &[], &environment);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("notes.db"), "{line}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "these are notes, and no database at all");
}

#[test]
fn serves_on_when_nobody_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("LOG_LEVEL", "debug")];
    let server = Server::start_unheard(folder.path(), &environment);
    for _ in 0..3 {
        assert_eq!(server.request("GET", "/health", None, None).status, 200);
        let tiers = server.request("GET", "/admin/tiers", Some(ADMIN_TOKEN), None);
        assert_eq!(tiers.status, 200);
    }
}

#[test]
fn requests_are_logged_unless_they_are_not_to_be() {
    for (setting, is_logged) in [("true", true), ("false", false)] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &[("LOG_REQUESTS", setting)]);
        let answer = server.request("GET", "/admin/tiers", Some(ADMIN_TOKEN), None);
        let request_id = answer.header("x-request-id").expect("every answer has a request id");
        server.terminate();
        assert_eq!(server.wait(), Some(0));
        let log = server.log();
        assert_eq!(log.contains(request_id), is_logged, "{log}");
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            for member in ["level", "time", "message", "component"] {
                assert!(line[member].is_string(), "{line}");
            }
        }
    }
}

/// Promise 8.
#[test]
fn leaves_no_core_dump() {
    // What it inherits allows one, as far as that can be had.
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }).unwrap();
    for signal in [Signal::ABORT, Signal::SEGV] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &[]);
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
        let end = server.end_by(signal);
        assert_eq!((end.signal(), end.core_dumped()), (Some(signal.as_raw()), false));
    }
}
