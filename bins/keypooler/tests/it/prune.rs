//! `keypooler prune` beside a server under load, killed five times: each old event is in the archive once and no more in the
//! pool, the counters say the same, and no draw fails (promises 1 to 3).

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Connection, Server, all_events, keys, run};

/// Old events, of which a transaction takes 4,000.
const OLD: u64 = 60_000;

fn report(folder: &Path, line: &[&str]) -> (i32, Value, String) {
    let output = run(folder, &[line, &["--json"]].concat(), &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), report, error)
}

/// A pool with a key for life and one in windows of a day, each drawn once, and many events of the first that are from 400
/// days to a few days old.
fn aged(folder: &Path) {
    let mut server = Server::start(folder, &[]);
    let post = |path: &str, body: Value| {
        let answer = server.request("POST", path, Some(ADMIN_TOKEN), Some(&body.to_string()));
        assert_eq!(answer.status, 201, "{}", answer.body);
    };
    post("/admin/tiers", json!({"name": "t", "features": {"f": {"rate_limit": 1_000_000_000}}}));
    let life = json!({"name": "life", "key": "v1", "tier": "t", "usage_limit": 1_000_000});
    let windows = json!({"name": "windows", "key": "v2", "tier": "t", "usage_limit": 1_000_000,
        "usage_window_seconds": 86_400});
    post("/admin/keys", json!([life, windows]));
    for _ in 0..2 {
        assert_eq!(server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).status, 200);
    }
    server.terminate();
    assert_eq!(server.wait(), Some(0));

    let connection = rusqlite::Connection::open(folder.join("data/pool.db")).unwrap();
    let sql = format!(
        "CREATE TEMP TABLE span AS SELECT (SELECT min(id) >> 21 FROM usage_events) AS today_ms,
            (SELECT id FROM usage_events WHERE key_no = 1) AS first;
        WITH RECURSIVE old (n, id, previous) AS (
            SELECT 0, (today_ms - 400 * 86400000) << 21, NULL FROM span
            UNION ALL
            SELECT n + 1, (today_ms - 400 * 86400000 + (n + 1) * (390 * 86400000 / {OLD})) << 21, id
            FROM old CROSS JOIN span WHERE n + 1 < {OLD}
        )
        INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous) SELECT id, 1, 0, 1, previous FROM old;
        UPDATE usage_events SET previous = (SELECT max(id) FROM usage_events WHERE id < (SELECT first FROM span))
        WHERE id = (SELECT first FROM span);
        UPDATE budget_counters SET used = used + {OLD} WHERE key_no = 1;"
    );
    connection.execute_batch(&sql).unwrap();
    connection.close().unwrap();
}

/// The draw ids in an archive.
fn archived(path: &Path) -> Vec<String> {
    let output = Command::new("gzip").args(["-dc", path.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success());
    let id = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["key_name"], &line["consumer_id"]), (&"life".into(), &"admin".into()));
        line["draw_id"].as_str().unwrap().to_owned()
    };
    String::from_utf8(output.stdout).unwrap().lines().map(id).collect()
}

fn prune_in_background(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_keypooler"))
        .args(["prune", "--before", "20d", "--archive", "usage.jsonl.gz"])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_again_and_again_under_load_it_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("usage.jsonl.gz");
    aged(folder.path());
    let (code, told, error) = report(folder.path(), &["verify"]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    let server = Server::start(folder.path(), &[]);
    let (code, told, error) = report(folder.path(), &["prune", "--before", "20d", "--dry-run"]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    let expected = told["events"].as_u64().unwrap();
    assert!((OLD - 4_000..OLD).contains(&expected), "{told}");

    let (address, stop) = (server.address, AtomicBool::new(false));
    let drawn = thread::scope(|scope| {
        let client = || {
            let mut connection = Connection::try_open(address).unwrap();
            let mut drawn = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                let answer =
                    connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                drawn += 1;
            }
            drawn
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let length = || fs::metadata(&archive).map_or(0, |it| it.len());
        for _ in 0..5 {
            let before = length();
            let mut child = prune_in_background(folder.path());
            while length() <= before && child.try_wait().unwrap().is_none() {
                thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let line = ["prune", "--before", "20d", "--archive", "usage.jsonl.gz"];
        let (code, told, error) = report(folder.path(), &line);
        assert_eq!((code, error.as_str()), (0, ""), "{told}");
        assert!(told["events"].as_u64().unwrap() < expected, "those killed before did some of it");
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<u64>()
    });
    assert!(drawn > 0);

    let gone = archived(&archive);
    assert_eq!(gone.len() as u64, expected, "each once");
    let left = all_events(&server);
    let gone: HashSet<String> = gone.into_iter().collect();
    assert_eq!(gone.len() as u64, expected);
    assert!(gone.is_disjoint(&left));
    assert_eq!(left.len() as u64, OLD - expected + 2 + drawn);
    let counted: u64 = keys(&server).iter().map(|key| key["usage_count"].as_u64().unwrap()).sum();
    assert_eq!(counted, OLD + 2 + drawn);
    let (code, told, error) = report(folder.path(), &["verify"]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    let changes =
        server.request("GET", "/admin/changes?limit=1000", Some(ADMIN_TOKEN), None).json();
    let by_prune = |change: &&Value| change["from"] == "keypooler prune";
    let on_record = changes.as_array().unwrap().iter().filter(by_prune).map(|change| {
        assert_eq!(change["what"], "prune_usage");
        change["after"]["events"].as_u64().unwrap()
    });
    assert_eq!(on_record.sum::<u64>(), expected, "those killed are on record as well");

    // A server that starts now goes on from there.
    drop(server);
    let server = Server::start(folder.path(), &[]);
    assert_eq!(server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).status, 200);
    let (code, told, _) =
        report(folder.path(), &["prune", "--before", "20d", "--archive", "usage.jsonl.gz"]);
    assert_eq!((code, &told["events"]), (0, &0.into()));
}

#[test]
fn a_time_that_cannot_be_pruned_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    aged(folder.path());
    let before = |time: &str| {
        let (code, told, error) = report(folder.path(), &["prune", "--before", time]);
        assert_eq!(told, Value::Null);
        (code, error)
    };
    let (code, error) = before("yesterday");
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("--before takes a day"), "{error}");
    let (code, error) = before("2999-01-01");
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("has not come yet"), "{error}");
    // The window of the second key is moved to the day before yesterday, and made longer: it is open still.
    let connection = rusqlite::Connection::open(folder.path().join("data/pool.db")).unwrap();
    let sql = "UPDATE keys SET usage_window_secs = 1000000 WHERE key_no = 2;
        UPDATE budget_counters SET window_start_ms = window_start_ms - 2 * 86400000 WHERE key_no = 2;";
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    let (code, error) = before("1d");
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("the budget window of key windows"), "{error}");
    let (code, told, error) = report(folder.path(), &["prune", "--before", "2d"]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    assert_eq!(told["events"], OLD);
}
