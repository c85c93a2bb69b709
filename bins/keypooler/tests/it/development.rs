//! `--dev`: from nothing to a drawn key, and no given token printed (promise 8).

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::{ADMIN_TOKEN, Server};

/// Starts it and gives the `curl` line that it prints: its token and its path.
fn start(folder: &Path, environment: &[(&str, &str)]) -> (Server, String, String) {
    let mut server = Server::start_with(folder, &["--dev"], environment);
    let curl = server.wait_for_line(|line| line.starts_with("curl "));
    let quoted: Vec<&str> = curl.split('"').collect();
    let [_, header, _, url, _] = quoted[..] else { panic!("{curl}") };
    let token = header.strip_prefix("Authorization: Bearer ").expect(&curl).to_owned();
    let origin = format!("http://{}", server.address);
    let path = url.strip_prefix(&origin).expect(&curl).to_owned();
    (server, token, path)
}

#[test]
fn draws_without_any_set_up_and_tells_how_to_draw_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, token, path) = start(folder.path(), &[("SERVER_PORT", "0")]);
    assert!(server.address.ip().is_loopback());
    assert!(folder.path().join("data/dev.db").exists());
    let log = server.log();
    assert!(log.contains(r#""value": "not-a-real-key-1""#), "{log}");
    assert!(log.contains("Admin token:    kp_") && log.contains("Consumer token: kp_"), "{log}");

    let drawn = server.request("GET", &path, Some(&token), None);
    assert_eq!(drawn.status, 200, "{}", drawn.body);
    assert_eq!(drawn.json()["value"], "not-a-real-key-2");
    let keys = server.request("GET", "/admin/keys", Some(&token), None);
    assert_eq!(keys.status, 403, "the token is a consumer's");
    server.terminate();
    assert_eq!(server.wait(), Some(0), "{}", server.log());

    // The consumer's token can't be shown again: the next start draws as the admin, the next key.
    let (server, token, path) = start(folder.path(), &[("SERVER_PORT", "0")]);
    assert!(server.log().contains(r#""value": "not-a-real-key-3""#), "{}", server.log());
    let drawn = server.request("GET", &path, Some(&token), None);
    assert_eq!(drawn.json()["value"], "not-a-real-key-1", "{}", drawn.body);
    let keys = server.request("GET", "/admin/keys", Some(&token), None);
    assert_eq!(keys.json().as_array().map(Vec::len), Some(3));
}

#[test]
fn takes_another_port_where_the_usual_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    // Taken by this or by somebody else.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let (server, token, path) = start(folder.path(), &[]);
    assert_ne!(server.address.port(), 8080);
    assert_eq!(server.request("GET", &path, Some(&token), None).status, 200);
}

#[test]
fn does_not_print_an_admin_token_that_was_given_but_tells_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), ADMIN_TOKEN).unwrap();
    let file = format!("admin_token = '{ADMIN_TOKEN}'");
    let cases = [
        ("", ("ADMIN_TOKEN", ADMIN_TOKEN), "$ADMIN_TOKEN"),
        (file.as_str(), ("ADMIN_TOKEN", ADMIN_TOKEN), "$ADMIN_TOKEN"),
        ("", ("ADMIN_TOKEN_FILE", "token"), "<your admin token>"),
        (file.as_str(), ("ADMIN_TOKEN", ""), "<your admin token>"),
    ];
    for (file, token, shown) in cases {
        fs::write(folder.path().join("keypooler.toml"), file).unwrap();
        let environment = [("SERVER_PORT", "0"), token, ("DB_PATH", "mine.db")];
        // The first start prints the consumer's token, the later ones the admin's.
        let (server, _, _) = start(folder.path(), &environment);
        drop(server);
        let (server, printed, _) = start(folder.path(), &environment);
        assert_eq!(printed, shown);
        assert!(server.log().contains(&format!("Admin token:    {shown}\n")), "{}", server.log());
        assert!(!server.log().contains(ADMIN_TOKEN), "{}", server.log());
        assert!(folder.path().join("mine.db").exists());
        let keys = server.request("GET", "/admin/keys", Some(ADMIN_TOKEN), None);
        assert_eq!(keys.status, 200);
    }
}
