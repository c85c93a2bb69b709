//! Replicas that are started at the same moment: on an empty database, and on the Go program's, which they upgrade once
//! and both serve.

use std::collections::BTreeSet;
use std::fs;

use crate::records;
use crate::stage::Stage;
use crate::support::ADMIN_TOKEN;

const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SIPHON_RUNNER: &str = "a130a6a91c925f3a4fac2b5530306d04fb694645c039df919bb699bef8bfb772";
const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crates/keypool-store/tests/fixtures/keypooler-go-v1.db"
);

#[test]
fn replicas_started_at_the_same_moment_on_an_empty_database_all_serve() {
    for _ in 0..5 {
        let mut stage = Stage::empty(|_| {});
        stage.add_at_once(3, &[], &[]);
        for replica in 0..3 {
            let health = stage.ask(replica, "GET", "/admin/health", ADMIN_TOKEN, None);
            assert_eq!(health.status, 200, "{}", health.body);
        }
    }
}

#[test]
fn two_replicas_started_at_the_same_moment_upgrade_it_once_and_both_serve() {
    for _ in 0..3 {
        let mut stage = Stage::empty(|settings| {
            fs::copy(FIXTURE, &settings.path).unwrap();
        });
        // The fixture's events are as old as the fixture; a machine whose clock is behind them may still run this.
        stage.add_at_once(2, &["--accept-clock"], &[("ENCRYPTION_KEY", ENCRYPTION_KEY)]);
        let file = stage.file();
        let once = "SELECT count(*) = count(DISTINCT version) AND count(*) = max(version) FROM schema_migrations";
        assert_eq!(records::number(&file, once), 1);
        for (table, rows) in [("keys", 8), ("key_secrets", 5), ("tiers", 2), ("usage_events", 16)] {
            let sql = format!("SELECT count(*) FROM {table}");
            assert_eq!(records::number(&file, &sql), rows, "{table}");
        }
        let before = records::events(&file).len();
        let mut values = BTreeSet::new();
        for draw in 0..10 {
            let path = "/key?feature=firecrawl_scrape";
            let answer = stage.ask(draw % 2, "GET", path, SIPHON_RUNNER, None);
            assert_eq!(answer.status, 200, "{}\n{}", answer.body, stage.complaints());
            values.insert(answer.json()["value"].as_str().unwrap().to_owned());
        }
        assert_eq!(values.len(), 5, "both follow one rotation: {values:?}");
        assert_eq!(records::events(&file).len(), before + 10);
        assert_eq!(records::contradictions(&file), Vec::<String>::new());
        for replica in 0..2 {
            let keys = stage.ask(replica, "GET", "/admin/keys", ADMIN_TOKEN, None);
            assert_eq!(keys.status, 200, "{}", keys.body);
            assert_eq!(keys.json().as_array().map(Vec::len), Some(8));
        }
        println!("{}", stage.complaints());
    }
}
