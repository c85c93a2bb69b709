//! The Go program's database moves over, and nothing is lost (promise 3): its callers and their tokens go on unchanged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{ADMIN_TOKEN, Server, run};

const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SIPHON_RUNNER: &str = "a130a6a91c925f3a4fac2b5530306d04fb694645c039df919bb699bef8bfb772";
const SERP_BOT: &str = "9c9102b940509626cc78140767b3dffe3f76b46cac651bd367dacec91a8b6069";
const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crates/keypool-store/tests/fixtures/keypooler-go-v1.db"
);

fn move_in(folder: &Path) -> Vec<u8> {
    let original = fs::read(FIXTURE).unwrap();
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("data/pool.db"), &original).unwrap();
    original
}

#[test]
fn its_consumers_draw_with_their_own_tokens() {
    let folder = tempfile::tempdir().unwrap();
    move_in(folder.path());
    // The fixture's events are as old as the fixture; a machine whose clock is behind them may still run this.
    let environment = [("ENCRYPTION_KEY", ENCRYPTION_KEY), ("ADMIN_TOKEN", ADMIN_TOKEN)];
    let environment =
        [environment.as_slice(), &[("SERVER_HOST", "127.0.0.1"), ("SERVER_PORT", "0")]].concat();
    let server = Server::start_with(folder.path(), &["--accept-clock"], &environment);
    let mut values = BTreeSet::new();
    for _ in 0..5 {
        let drawn =
            server.request("GET", "/key?feature=firecrawl_scrape", Some(SIPHON_RUNNER), None);
        assert_eq!(drawn.status, 200, "{}", drawn.body);
        values.insert(drawn.json()["value"].as_str().unwrap().to_owned());
    }
    assert_eq!(values.len(), 5, "{values:?}");
    assert!(values.contains("fc-A7-plain-1") && !values.contains("fc-A7-expired"), "{values:?}");
    let refused = server.request("GET", "/key?feature=firecrawl_scrape", Some(SERP_BOT), None);
    assert_eq!(refused.status, 403, "{}", refused.body);
    let events = server.request("GET", "/admin/usage?limit=1000", Some(ADMIN_TOKEN), None).json();
    assert_eq!(events.as_array().map(Vec::len), Some(16 + 5));
    assert!(folder.path().join("data/pool.db.v1.bak").exists());
}

#[test]
fn without_its_encryption_key_the_start_is_refused_and_the_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let original = move_in(folder.path());
    for key in ["", &"7".repeat(64)] {
        let environment =
            [("ADMIN_TOKEN", ADMIN_TOKEN), ("ENCRYPTION_KEY", key), ("SERVER_PORT", "0")];
        let refused = run(folder.path(), &[], &environment);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("ENCRYPTION_KEY"), "{said}");
        assert_eq!(fs::read(folder.path().join("data/pool.db")).unwrap(), original);
        assert!(!folder.path().join("data/pool.db.v1.bak").exists());
    }
}
