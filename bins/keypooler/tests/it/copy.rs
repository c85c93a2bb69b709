//! `keypooler copy`: a pool goes to a database server and back, is served from there, and nothing of it is lost
//! (promise 3); a token has no place in the command line (promise 8).

use std::fs;
use std::path::Path;

use keypool_test_server::{ServerSettings, TestServer};

use crate::support::{ADMIN_TOKEN, Server, run};

const TOKEN: &str = "hush-hush";
const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A database server that wants a token, on a file in this folder.
fn server(folder: &Path) -> TestServer {
    let settings = ServerSettings {
        token: Some(TOKEN.to_owned()),
        ..ServerSettings::at(folder.join("served.db"))
    };
    tokio::runtime::Runtime::new().unwrap().block_on(TestServer::start(settings)).unwrap()
}

/// Runs `copy`; its exit code, and what it said on standard output and error.
fn copy(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, [String; 2]) {
    let output = run(folder, &[&["copy"], arguments].concat(), environment);
    let said = [output.stdout, output.stderr];
    (output.status.code(), said.map(|said| String::from_utf8(said).expect("it says text")))
}

#[test]
fn a_pool_goes_to_a_server_and_back_and_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ENCRYPTION_KEY", ENCRYPTION_KEY)];
    let mut first = Server::start(folder.path(), &environment);
    let post = |server: &Server, path: &str, body: &str| {
        let answer = server.request("POST", path, Some(ADMIN_TOKEN), Some(body));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()
    };
    let tier = r#"{"name":"t","features":{"f":{"rate_limit":100,"window_seconds":3600}}}"#;
    post(&first, "/admin/tiers", tier);
    let key =
        r#"{"name":"k","key":"sealed-value","tier":"t","usage_limit":3,"secrets":{"s":"bound"}}"#;
    post(&first, "/admin/keys", key);
    let consumer = post(&first, "/admin/consumers", r#"{"name":"c","scopes":["t"]}"#);
    let consumer = consumer["token"].as_str().unwrap();
    let draw = |server: &Server| server.request("GET", "/key?feature=f", Some(consumer), None);
    assert_eq!(draw(&first).status, 200);

    let database = server(folder.path());
    let there = ["--from", "data/pool.db", "--to", &database.url()];
    let with_token = [("DATABASE_AUTH_TOKEN", TOKEN), ("ADMIN_TOKEN", ""), ("DB_PATH", "other.db")];
    let (code, [_, said]) = copy(folder.path(), &there, &with_token);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another keypooler is serving the database"), "{said}");
    first.terminate();
    assert_eq!(first.wait(), Some(0));

    let (code, [_, said]) = copy(folder.path(), &there, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("refuses the token"), "{said}");
    let (code, [line, said]) = copy(folder.path(), &there, &with_token);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{line}");
    assert!(line.starts_with(&format!("copied data/pool.db to {} ", database.url())), "{line}");
    assert!(
        line.contains("keys 1, key_secrets 1, consumers 2") && line.contains("usage_events 1"),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);

    fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let back = ["--from", &database.url(), "--to", "back/pool.db", "--from-token-file", "token"];
    let (code, [line, said]) = copy(folder.path(), &back, &[("DATABASE_AUTH_TOKEN", "another")]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{line}");
    let (code, [_, said]) = copy(folder.path(), &back, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("back/pool.db holds something already"), "{said}");

    let environment = [("ENCRYPTION_KEY", ENCRYPTION_KEY), ("DB_PATH", "back/pool.db")];
    let second = Server::start(folder.path(), &environment);
    for _ in 0..2 {
        let drawn = draw(&second);
        assert_eq!((drawn.status, drawn.json()["value"].as_str()), (200, Some("sealed-value")));
        assert_eq!(drawn.json()["secrets"]["s"], "bound");
    }
    let code = draw(&second).json()["code"].clone();
    assert_eq!(code, "no_usable_key", "the draw before the move counts in the budget for life");
    let events = second.request("GET", "/admin/usage", Some(ADMIN_TOKEN), None).json();
    assert_eq!(events.as_array().map(Vec::len), Some(3));
}

#[test]
fn a_token_in_the_command_line_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let url = "libsql://db.example?authToken=hush";
    let lines: [&[&str]; 6] = [
        &["--from", "a.db", "--to", url],
        &["--from", url, "--to", "a.db"],
        &["--from", "a.db", "--to", "libsql://db.example?token=hush"],
        &["--from", "a.db", "--to", "https://me:hush@db.example"],
        &["--from", "a.db", url],
        &[url],
    ];
    for line in lines {
        let (code, [out, said]) = copy(folder.path(), line, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains("DATABASE_AUTH_TOKEN"), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_is_none_is_refused_by_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "two words").unwrap();
    let lines: [(&[&str], &str); 6] = [
        (&["--from", ":memory:", "--to", "b.db"], "--from takes the path"),
        (&["--from", "a.db", "--to", ""], "--to takes the path"),
        (&["--from", "a.db", "--to", "wss://db.example"], "--to can't be used"),
        (&["--from", "http://db.example", "--to", "b.db"], "--from can't be used"),
        (
            &["--from", "a.db", "--to", "b.db", "--to-token-file", "token"],
            "--to-token-file is for a URL",
        ),
        (
            &["--from", "a.db", "--to", "https://b", "--to-token-file", "token"],
            "--to-token-file names a file that must hold",
        ),
    ];
    for (line, expected) in lines {
        let (code, [_, said]) = copy(folder.path(), line, &[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (code, [_, said]) = copy(folder.path(), &["--from", "a.db", "--to", "b.db"], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no pool in a.db to copy"), "{said}");
    assert!(!folder.path().join("b.db").exists());
}

#[test]
fn a_pool_on_a_server_is_backed_up_looked_at_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Server::start(folder.path(), &[]);
    let tier = r#"{"name":"t","features":{"f":{"rate_limit":100}}}"#;
    let key = r#"{"name":"k","key":"v","tier":"t","usage_limit":1}"#;
    for (path, body) in [("/admin/tiers", tier), ("/admin/keys", key)] {
        assert_eq!(first.request("POST", path, Some(ADMIN_TOKEN), Some(body)).status, 201);
    }
    assert_eq!(first.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).status, 200);
    first.terminate();
    assert_eq!(first.wait(), Some(0));

    let database = server(folder.path());
    let url = database.url();
    let environment = [("DATABASE_URL", url.as_str()), ("DATABASE_AUTH_TOKEN", TOKEN)];
    let report = |line: &[&str]| {
        let output = run(folder.path(), &[line, &["--json"]].concat(), &environment);
        let error = String::from_utf8(output.stderr).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""), "{line:?}: {said}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let output = run(folder.path(), &["backup", "first.db"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let told = report(&["restore", "first.db"]);
    assert_eq!(told["database"], url);
    let told = report(&["verify"]);
    assert_eq!((&told["sound"], &told["usage_events"]), (&true.into(), &1.into()), "{told}");
    report(&["backup", "second.db"]);
    let told = report(&["export", "--with-values", "--output", "keys.json"]);
    assert_eq!(told["keys"], 1);
    let output = run(folder.path(), &["restore", "second.db"], &environment);
    assert_eq!(output.status.code(), Some(1), "it holds a pool");

    let mut served =
        vec![("ADMIN_TOKEN", ADMIN_TOKEN), ("SERVER_PORT", "0"), ("SERVER_HOST", "127.0.0.1")];
    served.extend(environment);
    let second = Server::start_with(folder.path(), &[], &served);
    let more = r#"[{"name":"new","key":"w","tier":"t"}]"#;
    fs::write(folder.path().join("more.json"), more).unwrap();
    assert_eq!(report(&["import", "more.json"])["added"], 1);
    let drawn = second.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).json();
    assert_eq!(drawn["value"], "w", "a replica has it when the command ends");
    let told = report(&["prune", "--before", "1d"]);
    assert_eq!(told["events"], 0);
}
