//! A socket in the file system, in place of an address or beside one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::{ADMIN_TOKEN, Server, command, run};

const BOTH: [(&str, &str); 2] = [("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_SOCKET", "k.sock")];

/// The answer to one request of the admin's.
pub(crate) fn ask(mut stream: impl Read + Write, path: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[test]
fn it_is_all_that_is_listened_on_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.sock");
    let mut server = Server::start_by(command(folder.path(), &[], &BOTH));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let answer = ask(UnixStream::connect(&path).unwrap(), "/admin/tiers");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("[]"), "{answer}");
    server.wait_for_line(|line| line.contains("\"from\":\"unix\""));
    let log = server.log();
    assert_eq!(log.matches("listening on").count(), 1, "no address beside it: {log}");

    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    assert!(!path.exists());
}

#[test]
fn an_address_is_listened_on_beside_it_where_one_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[("SERVER_SOCKET", "k.sock")]);
    server.wait_for_line(|line| line.contains("listening on k.sock"));
    let unix = UnixStream::connect(folder.path().join("k.sock")).unwrap();
    let tcp = TcpStream::connect(server.address).unwrap();
    for answer in [ask(unix, "/health"), ask(tcp, "/health")] {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn one_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.sock");
    let mut killed = Server::start_by(command(folder.path(), &[], &BOTH));
    killed.kill();
    assert!(is_socket(&path), "a killed server can't take it along");

    let _server = Server::start_by(command(folder.path(), &[], &BOTH));
    let second = run(folder.path(), &[], &[&BOTH[..], &[("DB_PATH", "other.db")]].concat());
    let line = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{line}");
    assert!(line.contains("SERVER_SOCKET") && line.contains("another program"), "{line}");
    assert!(!folder.path().join("other.db").exists(), "nothing else was touched");
    assert!(ask(UnixStream::connect(&path).unwrap(), "/health").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_trusted_peer_of_it_says_where_a_request_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [&BOTH[..], &[("TRUSTED_PROXIES", "unix")]].concat();
    let mut server = Server::start_by(command(folder.path(), &[], &environment));
    let mut stream = UnixStream::connect(folder.path().join("k.sock")).unwrap();
    let forwarded = "GET /health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\n\
                     Connection: close\r\n\r\n";
    stream.write_all(forwarded.as_bytes()).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    server.wait_for_line(|line| line.contains("\"from\":\"198.51.100.7\""));
}
