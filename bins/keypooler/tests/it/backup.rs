//! `keypooler backup`, `restore` and `verify`: a backup taken under load holds every grant that was answered before it
//! began, and is found sound where it is restored (promise 3).

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Connection, Server, all_events, keys, run};

const CLIENTS: usize = 8;
const KEY: (&str, &str) =
    ("ENCRYPTION_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

/// Runs a command with `--json`; its exit code, its report and what it said on standard error.
fn report(folder: &Path, line: &[&str], environment: &[(&str, &str)]) -> (i32, Value, String) {
    let output = run(folder, &[line, &["--json"]].concat(), environment);
    let error = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), report, error)
}

/// A server with a tier, four keys with a secret each, and nothing drawn.
fn filled(folder: &Path) -> Server {
    let server = Server::start(folder, &[KEY]);
    let tier = r#"{"name":"t","features":{"f":{"rate_limit":1000000000}}}"#;
    let post = |path: &str, body: &str| {
        let answer = server.request("POST", path, Some(ADMIN_TOKEN), Some(body));
        assert_eq!(answer.status, 201, "{}", answer.body);
    };
    post("/admin/tiers", tier);
    let key = |n| {
        json!({"name": format!("k{n}"), "key": format!("value-{n}"), "tier": "t", "usage_limit": 1_000_000,
            "secrets": {"s": format!("secret-{n}")}})
    };
    post("/admin/keys", &Value::from((0..4).map(key).collect::<Vec<_>>()).to_string());
    server
}

/// Draws until told to stop; the draw ids, each counted when it was received.
fn draw_until(address: SocketAddr, stop: &AtomicBool, received: &AtomicUsize) -> Vec<String> {
    let mut connection = Connection::try_open(address).unwrap();
    let mut drawn = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let answer = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        drawn.push(answer.json()["draw_id"].as_str().unwrap().to_owned());
        received.fetch_add(1, Ordering::SeqCst);
    }
    drawn
}

#[test]
fn a_backup_taken_under_load_restores_to_a_sound_pool_that_misses_no_grant() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = filled(folder.path());
    let (address, stop, received) = (server.address, AtomicBool::new(false), AtomicUsize::new(0));
    let before = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| draw_until(address, &stop, &received))).collect();
        while received.load(Ordering::SeqCst) < 300 {
            thread::yield_now();
        }
        // Whatever stands here by now was answered before the backup began.
        let before = all_events(&server);
        let (code, told, error) = report(folder.path(), &["backup", "b.db"], &[KEY]);
        assert_eq!((code, error.as_str()), (0, ""), "{told}");
        assert_eq!(told["bytes"], fs::metadata(folder.path().join("b.db")).unwrap().len());
        let (code, told, error) = report(folder.path(), &["verify"], &[KEY]);
        assert_eq!((code, error.as_str()), (0, ""), "beside the load: {told}");
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().for_each(|client| drop(client.join().unwrap()));
        before
    });
    assert!(before.len() >= 300);

    let line = ["restore", "b.db"];
    let (code, _, error) = report(folder.path(), &line, &[KEY]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("another keypooler is serving"), "{error}");
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let (code, _, error) = report(folder.path(), &line, &[KEY]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("holds a database already"), "{error}");
    let (code, told, error) = report(folder.path(), &["restore", "b.db", "--replace"], &[KEY]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    let aside = told["kept_aside"].as_str().unwrap();
    assert!(aside.ends_with("/data/pool.db.before-restore"), "{told}");

    for database in ["data/pool.db", aside] {
        let (code, told, error) = report(folder.path(), &["verify", "--db", database], &[KEY]);
        assert_eq!((code, error.as_str()), (0, ""), "{told}");
        assert_eq!(
            (&told["sound"], &told["keys"], &told["values"]["current"]),
            (&true.into(), &4.into(), &8.into())
        );
        assert!(told["usage_events"].as_u64() >= Some(before.len() as u64), "{told}");
    }
    let server = Server::start(folder.path(), &[KEY]);
    let restored = all_events(&server);
    assert_eq!(before.difference(&restored).count(), 0, "grants are missing");
    let counted: u64 = keys(&server).iter().map(|key| key["usage_count"].as_u64().unwrap()).sum();
    assert_eq!(counted, restored.len() as u64);
    let drawn = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).json();
    assert!(drawn["value"].as_str().unwrap().starts_with("value-"), "{drawn}");
    let id = drawn["draw_id"].as_str().unwrap().to_owned();
    assert!(!restored.contains(&id) && all_events(&server).contains(&id));
}

#[test]
fn a_backup_that_is_not_sound_is_told_and_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = filled(folder.path());
    server.terminate();
    server.wait();
    let (code, _, error) = report(folder.path(), &["backup", "b.db"], &[KEY]);
    assert_eq!((code, error.as_str()), (0, ""));
    let (code, _, error) = report(folder.path(), &["backup", "b.db"], &[KEY]);
    assert_eq!(code, 1);
    assert!(error.contains("b.db is there already"), "{error}");

    let other =
        ("ENCRYPTION_KEY", "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    let restore = ["restore", "b.db", "--db", "new.db"];
    for environment in [&[][..], &[other]] {
        let (code, told, error) = report(folder.path(), &restore, environment);
        assert_eq!(code, 3, "{told}");
        assert!(error.contains("was not restored; nothing was changed"), "{error}");
        let checks: HashSet<&str> = told["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["check"].as_str().unwrap())
            .collect();
        assert_eq!(checks, HashSet::from(["values"]), "{told}");
        assert!(!told.to_string().contains("value-") && !told.to_string().contains("secret-"));
    }
    // A single key that is damaged keeps nobody from the rest.
    let (code, _, error) = report(folder.path(), &["backup", "damaged.db"], &[KEY]);
    assert_eq!((code, error.as_str()), (0, ""));
    let connection = rusqlite::Connection::open(folder.path().join("damaged.db")).unwrap();
    let flip = "UPDATE keys SET key_value = substr(key_value, 1, length(key_value) - 1)
        || iif(substr(key_value, -1) = '0', '1', '0') WHERE key_no = 1";
    connection.execute(flip, []).unwrap();
    connection.close().unwrap();
    let line = ["restore", "damaged.db", "--db", "with-damage.db"];
    let (code, told, error) = report(folder.path(), &line, &[KEY]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    assert_eq!(told["findings"][0]["check"], "values", "{told}");

    let connection = rusqlite::Connection::open(folder.path().join("b.db")).unwrap();
    connection.execute("UPDATE budget_counters SET used = used + 1 WHERE key_no = 1", []).unwrap();
    connection.close().unwrap();
    let output = run(folder.path(), &restore, &[KEY]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("found:    counters: the budget counter of key k0"), "{text}");
    assert_eq!(
        fs::metadata(folder.path().join("new.db")).unwrap().len(),
        0,
        "nothing was restored"
    );

    let (code, _, error) = report(folder.path(), &["verify", "--db", "none.db"], &[KEY]);
    assert_eq!(code, 1);
    assert!(error.contains("there is no database none.db"), "{error}");
}
