//! `keypooler health`, as a container runs it: with the environment of its server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Server, command, run};
use crate::tls;

/// Asks a server that is said to listen on a port of 127.0.0.1; the exit code and the report.
fn asked(flags: &[&str], port: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", port)];
    let output = run(folder.path(), &[&["health"], flags].concat(), &environment);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("it says text"))
}

#[test]
fn a_server_that_answers_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let port = server.address.port().to_string();
    let (code, said) = asked(&[], &port);
    assert_eq!((code, said), (Some(0), format!("http://127.0.0.1:{port}/health: 200\n")));

    // Flags go before the environment, as they do for the server.
    let (code, said) = asked(&["--port", &port, "--json"], "1");
    assert_eq!(code, Some(0), "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let url = format!("http://127.0.0.1:{port}/health");
    assert_eq!(report, json!({"url": url, "status": 200, "error": null}));
}

#[test]
fn a_server_that_is_not_there_is_not_well() {
    // Nobody listens on it any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (code, said) = asked(&[], &port);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no answer: ") && said.ends_with('\n'), "{said}");
}

#[test]
fn a_server_that_says_that_it_is_not_ready_is_not_well() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = connection.read(&mut request).unwrap();
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        connection.write_all(answer).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let (code, said) = asked(&["--ready"], &port);
    assert_eq!((code, said), (Some(3), format!("http://127.0.0.1:{port}/ready: 503\n")));
    assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.1\r\n"));
}

#[test]
fn a_port_that_is_not_known_can_not_be_asked() {
    let (code, said) = asked(&[], "0");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("SERVER_PORT is any free port"), "{said}");
}

#[test]
fn a_server_that_speaks_tls_is_asked_so_whatever_its_certificate_is_for() {
    let folder = tempfile::tempdir().unwrap();
    tls::write(folder.path(), 90);
    let server = Server::start(folder.path(), &tls::FILES);
    let port = server.address.port().to_string();
    let environment = [("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", port.as_str()), tls::FILES[0]];
    let output = run(folder.path(), &["health"], &environment);
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = format!("https://127.0.0.1:{port}/health: 200\n");
    assert_eq!((output.status.code(), said), (Some(0), expected));

    // In the clear it gives no answer.
    let (code, said) = asked(&[], &port);
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn a_server_on_a_socket_alone_is_asked_there() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_SOCKET", "k.sock")];
    let mut server = Server::start_by(command(folder.path(), &[], &environment));
    let asked = || {
        let output = run(folder.path(), &["health"], &environment[1..]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(asked(), (Some(0), "http://unix:k.sock:/health: 200\n".to_owned()));
    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let (code, said) = asked();
    assert_eq!(code, Some(3), "{said}");
}
