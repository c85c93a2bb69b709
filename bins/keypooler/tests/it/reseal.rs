//! `keypooler reseal` beside a server that serves: killed five times under load it fails no draw, ends with every value under
//! the new key, and leaves nothing of the plain ones (promises 3 and 8).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as STANDARD;
use rusqlite::{Connection as Sqlite, OpenFlags};
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Connection, Running, Server, run};

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfefff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const BOTH: [(&str, &str); 2] = [("ENCRYPTION_KEY", NEW), ("ENCRYPTION_KEY_PREVIOUS", OLD)];
/// What every value holds, and its form in base64 at each of the three places where it may begin.
const MARK: &str = "distinctive-value-";

const PLAIN: usize = 1_500;
const SEALED: usize = 500;
const CLIENTS: usize = 4;
const KILLS: usize = 5;

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let made = server.request("POST", path, Some(ADMIN_TOKEN), Some(&body.to_string()));
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()
}

fn add_tier(server: &Server) {
    post(
        server,
        "/admin/tiers",
        &json!({ "name": "t", "features": { "f": { "rate_limit": 1_000_000_000 } } }),
    );
}

fn add_keys(server: &Server, numbers: std::ops::Range<usize>) {
    let key = |n: usize| {
        let value = format!("{MARK}{n}-").repeat(1 + n % 9);
        json!({ "name": format!("k{n}"), "key": value, "tier": "t", "secrets": { "s": format!("{MARK}s{n}") } })
    };
    post(server, "/admin/keys", &numbers.map(key).collect());
}

fn reseal(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    run(folder, &[&["reseal"], arguments].concat(), environment)
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?} is no report"))
}

/// Values of keys that bear this tag, as another process sees them.
fn count(database: &Path, tag: &str) -> usize {
    let reader = Sqlite::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    reader.busy_timeout(Duration::from_secs(20)).unwrap();
    let sql = "SELECT count(*) FROM keys WHERE key_value LIKE ?1 || '%'";
    let count: i64 = reader.query_row(sql, [tag], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

/// The tag of values that the server seals now.
fn current_tag(server: &Server, database: &Path) -> String {
    post(server, "/admin/keys", &json!({ "name": "newest", "key": "a value", "tier": "t" }));
    let reader = Sqlite::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let sql = "SELECT substr(key_value, 1, 19) FROM keys WHERE name = 'newest'";
    reader.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Draws until it is over; how many were answered. None may fail.
fn draw_all(address: SocketAddr, is_over: &AtomicBool, drawn: &AtomicUsize) {
    let mut connection = Connection::try_open(address).unwrap();
    while !is_over.load(Ordering::SeqCst) {
        let answer = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(
            answer.json()["value"].as_str().unwrap().starts_with(MARK)
                || drawn.load(Ordering::SeqCst) > 0
        );
        drawn.fetch_add(1, Ordering::SeqCst);
    }
}

fn assert_nothing_is_left(folder: &Path) {
    let mut marks = vec![MARK.to_owned(), hex::encode(MARK), hex::encode_upper(MARK)];
    for skipped in 0..3 {
        let rest = &MARK.as_bytes()[skipped..];
        marks.push(STANDARD.encode(&rest[..rest.len() / 3 * 3]));
    }
    for file in ["pool.db", "pool.db-wal", "pool.db-shm", "pool.db.lock"] {
        let Ok(bytes) = fs::read(folder.join("data").join(file)) else { continue };
        for mark in &marks {
            let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
            assert!(!found, "{mark} is left in {file}");
        }
    }
}

#[test]
fn killed_five_times_under_load_it_fails_no_draw_and_ends_with_every_value_under_the_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let quiet = ("LOG_REQUESTS", "false");
    let mut server = Server::start(folder, &[quiet]);
    add_tier(&server);
    add_keys(&server, 0..PLAIN);
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let mut server = Server::start(folder, &[quiet, ("ENCRYPTION_KEY", OLD)]);
    add_keys(&server, PLAIN..PLAIN + SEALED);
    server.terminate();
    assert_eq!(server.wait(), Some(0));

    let server = Server::start(folder, &[quiet, BOTH[0], BOTH[1]]);
    let database = folder.join("data/pool.db");
    let tag = current_tag(&server, &database);
    let (is_over, drawn) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| draw_all(server.address, &is_over, &drawn)))
            .collect();
        for kill in 1..=KILLS {
            let mut running = Running::start(folder, &["reseal"], &BOTH);
            let enough = kill * (PLAIN + SEALED) / (KILLS + 2);
            while count(&database, &tag) < enough {
                assert!(!running.has_ended(), "it was to be killed on its way, and ended before");
                thread::sleep(Duration::from_millis(1));
            }
            drop(running);
            assert!(count(&database, &tag) < PLAIN + SEALED, "kill {kill} came too late");
        }
        let ended = reseal(folder, &["--json"], &BOTH);
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let report = report(&ended);
        let all = 2 * (PLAIN + SEALED) + 1;
        assert_eq!(
            report["values"],
            json!({ "current": all, "previous": 0, "original": 0, "plain": 0 })
        );
        assert!(report["resealed"].as_u64().unwrap() > 0, "{report}");
        for client in clients {
            client.join().unwrap();
        }
    });
    assert!(drawn.load(Ordering::SeqCst) > 100);
    let health = server.request("GET", "/admin/health", Some(ADMIN_TOKEN), None).json();
    assert_eq!(health["pool_size"], PLAIN + SEALED + 1);
    assert_nothing_is_left(folder);
    let unavailable =
        server.log().lines().filter(|line| line.contains("\"level\":\"error\"")).count();
    assert_eq!(unavailable, 0, "{}", server.log());
    drop(server);

    let alone = [quiet, BOTH[0], ("ENCRYPTION_REQUIRED", "true")];
    let server = Server::start(folder, &alone);
    let mut connection = server.connect();
    let mut values = std::collections::HashSet::new();
    for _ in 0..=PLAIN + SEALED {
        let answer = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        values.insert(answer.json()["value"].as_str().unwrap().to_owned());
    }
    assert_eq!(values.len(), PLAIN + SEALED + 1, "every value is there and opens");
}

#[test]
fn from_plain_values_to_encryption_required() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::start(folder, &[]);
    add_tier(&server);
    add_keys(&server, 0..2);
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let required = [("ADMIN_TOKEN", ADMIN_TOKEN), BOTH[0], ("ENCRYPTION_REQUIRED", "true")];

    let refused = run(folder, &[], &required);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("4 of the stored values are plain text") && said.contains("\"k0\""),
        "{said}"
    );
    assert!(!said.contains(MARK), "{said}");

    let keyless = reseal(folder, &[], &[]);
    assert_eq!(keyless.status.code(), Some(2), "{keyless:?}");
    assert!(String::from_utf8_lossy(&keyless.stderr).contains("ENCRYPTION_KEY is required"));

    let looked = reseal(folder, &["--check"], &required);
    assert_eq!(looked.status.code(), Some(3), "{looked:?}");
    let said = String::from_utf8(looked.stdout).unwrap();
    assert!(said.contains("0 under the current key") && said.contains("4 plain"), "{said}");

    // Where nobody serves it need not be waited for.
    let sealed = reseal(folder, &[], &required);
    assert_eq!(sealed.status.code(), Some(0), "{sealed:?}");
    assert!(String::from_utf8_lossy(&sealed.stdout).contains("resealed: 4 values"));
    let looked = reseal(folder, &["--check", "--json"], &required);
    assert_eq!(looked.status.code(), Some(0), "{looked:?}");
    assert_eq!(report(&looked)["values"]["current"], 4);
    assert!(report(&looked)["resealed"].is_null());
    assert_nothing_is_left(folder);

    let server = Server::start(folder, &required[1..]);
    let answer = server.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
    assert!(answer.json()["value"].as_str().unwrap().starts_with(MARK), "{}", answer.body);
}

#[test]
fn a_copy_with_plain_values_that_a_takeover_left_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/keypool-store/tests/fixtures/keypooler-go-v1.db"
    );
    fs::create_dir(folder.join("data")).unwrap();
    fs::copy(fixture, folder.join("data/pool.db")).unwrap();
    let environment = [("ENCRYPTION_KEY", OLD)];
    let migrated = run(folder, &["migrate"], &environment);
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");

    let sealed = reseal(folder, &[], &environment);
    assert_eq!(sealed.status.code(), Some(3), "{sealed:?}");
    let said = String::from_utf8(sealed.stdout).unwrap();
    assert!(said.contains("found:") && said.contains("pool.db.v1.bak holds"), "{said}");
    let aside = folder.join("data/pool.db.before-restore.2");
    fs::rename(folder.join("data/pool.db.v1.bak"), &aside).unwrap();
    let looked = reseal(folder, &["--check"], &environment);
    assert_eq!(looked.status.code(), Some(3), "{looked:?}");
    let said = String::from_utf8(looked.stdout).unwrap();
    assert!(said.contains("pool.db.before-restore.2 holds"), "{said}");
    fs::remove_file(aside).unwrap();
    let looked = reseal(folder, &["--check"], &environment);
    assert_eq!(looked.status.code(), Some(0), "{looked:?}");
}
