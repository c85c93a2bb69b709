//! `keypooler export` and `import`: what is written is read again, all or none, and a running server has it at once (promise
//! 5). No value is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Server, run};

const KEY: (&str, &str) =
    ("ENCRYPTION_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

/// Runs a command; its exit code, and what it said on standard output and error.
fn said(folder: &Path, line: &[&str]) -> (i32, String, String) {
    let output = run(folder, line, &[KEY]);
    let [out, error] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    (output.status.code().unwrap(), out, error)
}

/// Imports with `--json`; its exit code and report.
fn import(folder: &Path, line: &[&str]) -> (i32, Value) {
    let (code, out, error) = said(folder, &[&["import", "--json"], line].concat());
    assert_eq!(error, "", "{out}");
    assert!(!out.contains("hush"), "a value is told: {out}");
    (code, serde_json::from_str(&out).unwrap())
}

/// A server with the tiers `t` and `u`.
fn server(folder: &Path) -> Server {
    let server = Server::start(folder, &[KEY]);
    for tier in ["t", "u"] {
        let tier = json!({"name": tier, "features": {"f": {"rate_limit": 1000}}}).to_string();
        let added = server.request("POST", "/admin/tiers", Some(ADMIN_TOKEN), Some(&tier));
        assert_eq!(added.status, 201, "{}", added.body);
    }
    server
}

/// Draws as often as there are keys; the values, in order.
fn values(server: &Server, count: usize) -> Vec<String> {
    let draw = |_| {
        let drawn = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
        assert_eq!(drawn.status, 200, "{}", drawn.body);
        drawn.json()["value"].as_str().unwrap().to_owned()
    };
    let mut values: Vec<String> = (0..count).map(draw).collect();
    values.sort();
    values
}

fn sample() -> Value {
    json!([
        {"name": "one", "key": "hush-1", "tier": "t"},
        {"name": "two", "key": "hush-2", "tier": "u", "expires_at": "2100-01-01T00:00:00Z", "usage_limit": 5,
            "usage_window_seconds": 60, "metadata": {"n": 12345678901234567890_u64, "a": [1.50, "x"]},
            "secrets": {"s": "hush-s", "t": "hush \"t\"\nand more"}},
        {"name": "three, \"3\"", "key": "hush $3 'x' \\ # \n y", "tier": "t", "usage_limit": 7},
    ])
}

#[test]
fn a_running_server_has_what_was_imported_when_the_command_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    fs::write(folder.path().join("keys.json"), sample().to_string()).unwrap();
    let (code, told) = import(folder.path(), &["keys.json", "--dry-run"]);
    assert_eq!((code, &told["new"], &told["added"]), (0, &3.into(), &0.into()), "{told}");
    let drawn = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
    assert_eq!(drawn.status, 429, "a dry run adds nothing");

    let (code, told) = import(folder.path(), &["keys.json"]);
    assert_eq!((code, &told["added"], &told["refused"]), (0, &3.into(), &0.into()), "{told}");
    assert_eq!(values(&server, 3), ["hush $3 'x' \\ # \n y", "hush-1", "hush-2"]);
    // Once more: nothing is added twice.
    let (code, told) = import(folder.path(), &["keys.json"]);
    assert_eq!((code, &told["added"], &told["present"]), (0, &0.into(), &3.into()), "{told}");
    let keys = server.request("GET", "/admin/keys", Some(ADMIN_TOKEN), None).json();
    assert_eq!(keys.as_array().map(Vec::len), Some(3));
    let changes = server.request("GET", "/admin/changes?limit=1", Some(ADMIN_TOKEN), None).json();
    assert_eq!(changes[0]["from"], "keypooler import", "{changes}");
}

#[test]
fn imports_at_once_add_every_key_once() {
    const KEYS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let _server = server(folder.path());
    let key = |n| json!({"name": format!("k{n}"), "key": format!("hush-{n}"), "tier": "t"});
    let keys: Value = (0..KEYS).map(key).collect();
    fs::write(folder.path().join("keys.json"), keys.to_string()).unwrap();
    let told: Vec<(i32, Value)> = thread::scope(|scope| {
        let one = |_| scope.spawn(|| import(folder.path(), &["keys.json"]));
        let running: Vec<_> = (0..4).map(one).collect();
        running.into_iter().map(|import| import.join().unwrap()).collect()
    });
    let count = |told: &Value, what: &str| told[what].as_u64().unwrap();
    for (code, told) in &told {
        assert_eq!((*code, count(told, "added") + count(told, "present")), (0, KEYS), "{told}");
    }
    let added = told.iter().map(|(_, told)| count(told, "added"));
    assert_eq!(added.sum::<u64>(), KEYS);
    let (_, listed, _) = said(folder.path(), &["export"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(200));
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = server(folder.path());
    fs::write(folder.path().join("keys.json"), sample().to_string()).unwrap();
    assert_eq!(import(folder.path(), &["keys.json"]).0, 0);
    for format in ["json", "csv"] {
        let file = format!("out.{format}");
        let (code, out, error) =
            said(folder.path(), &["export", "--with-values", "--output", &file]);
        assert_eq!((code, error.as_str()), (0, ""));
        assert!(out.contains(&format!("exported 3 keys of ./data/pool.db to {file}")), "{out}");
        let mode = fs::metadata(folder.path().join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (code, _, error) = said(folder.path(), &["export", "--with-values", "--output", &file]);
        assert_eq!(code, 1);
        assert!(error.contains("is there already"), "{error}");
    }
    let (_, listed, _) = said(folder.path(), &["export", "--with-values"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[1]["metadata"].to_string(), sample()[1]["metadata"].to_string());
    first.terminate();
    first.wait();

    for format in ["json", "csv"] {
        let other = tempfile::tempdir().unwrap();
        let second = server(other.path());
        let file = folder.path().join(format!("out.{format}"));
        assert_eq!(import(other.path(), &[file.to_str().unwrap()]).0, 0);
        let (code, again, error) = said(other.path(), &["export", "--with-values"]);
        assert_eq!((code, error.as_str()), (0, ""));
        let again: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again, listed, "{format}");
        drop(second);
    }
}

#[test]
fn an_env_file_goes_in_and_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    fs::write(folder.path().join(".env"), "# ours\nexport A_1=hush-1\nB=\"hush \\\"2\\\"\"\n")
        .unwrap();
    for line in ["K=\"x'$y-z\"\n", "K=\"it's ${ENCRYPTION_KEY}\"\n"] {
        fs::write(folder.path().join("variables.env"), line).unwrap();
        let (code, _, error) = said(folder.path(), &["import", "variables.env", "--tier", "t"]);
        assert_eq!(code, 1);
        assert!(error.contains("line 1: has a `$`"), "{error}");
    }
    let (code, _, error) = said(folder.path(), &["import", ".env"]);
    assert_eq!(code, 2);
    assert!(error.contains("--tier"), "{error}");
    let (code, told) = import(folder.path(), &[".env", "--tier", "t"]);
    assert_eq!((code, &told["added"]), (0, &2.into()), "{told}");
    assert_eq!(values(&server, 2), ["hush \"2\"", "hush-1"]);
    let (code, out, error) = said(folder.path(), &["export", "--format", "env", "--with-values"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(out, "A_1='hush-1'\nB='hush \"2\"'\n");
    let (code, _, error) = said(folder.path(), &["export", "--format", "env"]);
    assert_eq!(code, 2, "{error}");
}

#[test]
fn one_key_that_cannot_be_added_keeps_all_out_and_is_told_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let text = "name,key,tier,usage_limit,expires_at\n\
        good,hush-1,t,,\n\
        twin,hush-1,t,,\n\
        lost,hush-2,nowhere,,\n\
        zero,hush-3,t,0,\n\
        past,hush-4,t,,2001-01-01T00:00:00Z\n\
        many,hush-5,t,lots,\n";
    fs::write(folder.path().join("keys.csv"), text).unwrap();
    let (code, told) = import(folder.path(), &["keys.csv"]);
    assert_eq!((code, &told["added"], &told["refused"]), (3, &0.into(), &5.into()), "{told}");
    let why = |line: u64| {
        let keys = told["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["line"] == line).unwrap();
        (
            key["outcome"].as_str().unwrap().to_owned(),
            key["why"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(why(2).0, "new");
    for (line, expected) in [
        (3, "holds the value of the key on line 2"),
        (4, "there is no tier \"nowhere\""),
        (5, "usage_limit: takes a whole number from 1"),
        (6, "expires_at: lies in the past"),
        (7, "usage_limit: must be a whole number"),
    ] {
        let (outcome, why) = why(line);
        assert_eq!(outcome, "refused");
        assert!(why.contains(expected), "line {line}: {why}");
    }
    let drawn = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
    assert_eq!(drawn.status, 429, "nothing was added");

    fs::write(folder.path().join("keys.csv"), "name,key,tier\ngood,hush-1,t\n").unwrap();
    assert_eq!(import(folder.path(), &["keys.csv"]).0, 0);
    fs::write(folder.path().join("keys.csv"), "name,key,tier\ngood,hush-9,t\n").unwrap();
    let (code, told) = import(folder.path(), &["keys.csv"]);
    assert_eq!(code, 3);
    assert!(told["keys"][0]["why"].as_str().unwrap().contains("a key of this name"), "{told}");
    let (code, told) = import(folder.path(), &["keys.csv", "--allow-same-name"]);
    assert_eq!((code, &told["added"]), (0, &1.into()), "{told}");

    let text = "name,key,tier\nbetter,hush-10,t\ngood,hush-9,t\nbetter,hush-11,t\n";
    fs::write(folder.path().join("keys.csv"), text).unwrap();
    let (code, told) = import(folder.path(), &["keys.csv"]);
    assert_eq!((code, &told["added"], &told["refused"]), (3, &0.into(), &1.into()), "{told}");
    let said_of_last = "has the name of the key on line 2, with another value";
    assert_eq!(told["keys"][2]["why"], said_of_last, "{told}");
    let (code, told) = import(folder.path(), &["keys.csv", "--allow-same-name"]);
    assert_eq!((code, &told["added"], &told["present"]), (0, &2.into(), &1.into()), "{told}");

    fs::write(folder.path().join("keys.csv"), "hush\n\"").unwrap();
    let (code, out, error) = said(folder.path(), &["import", "keys.csv"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        error.contains("keys.csv can't be read: line 1: ") && !error.contains("hush"),
        "{error}"
    );
}

#[test]
fn without_values_everything_is_listed_and_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let _server = server(folder.path());
    fs::write(folder.path().join("keys.json"), sample().to_string()).unwrap();
    assert_eq!(import(folder.path(), &["keys.json"]).0, 0);
    for format in ["json", "csv"] {
        let (code, out, error) =
            said(folder.path(), &["export", "--format", format, "--tier", "u"]);
        assert_eq!((code, error.as_str()), (0, ""));
        assert!(out.contains("two") && !out.contains("one") && !out.contains("hush"), "{out}");
        assert!(out.contains("2100-01-01T00:00:00.000Z"), "{out}");
    }
    let (code, out, error) = said(folder.path(), &["export", "--tier", "v"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("there is no tier \"v\" in ./data/pool.db"), "{error}");
    let (code, _, error) = said(folder.path(), &["import", "--db", "none.db", "keys.json"]);
    assert_eq!(code, 1);
    assert!(error.contains("there is no database none.db"), "{error}");
}

/// A list that is kept must not lack keys in silence.
#[test]
fn an_export_of_values_that_do_not_open_is_told_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let added =
        server.request("POST", "/admin/keys", Some(ADMIN_TOKEN), Some(&sample().to_string()));
    assert_eq!(added.status, 201, "{}", added.body);
    let (code, out, _) = said(folder.path(), &["export", "--with-values"]);
    assert_eq!(code, 0, "{out}");
    let other = ("ENCRYPTION_KEY", "ff".repeat(32));
    for line in [&["export", "--with-values"][..], &["export", "--with-values", "--output", "a"]] {
        let output = run(folder.path(), line, &[(other.0, &other.1)]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }
}
