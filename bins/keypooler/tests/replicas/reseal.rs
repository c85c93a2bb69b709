//! `keypooler reseal` on a libSQL database that two replicas serve: it fails no draw, and every value ends under the new key.

use serde_json::{Value, json};

use crate::load::{Client, draw_while};
use crate::records;
use crate::stage::Stage;
use crate::support::{ADMIN_TOKEN, run};

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfefff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const BOTH: [(&str, &str); 2] = [("ENCRYPTION_KEY", NEW), ("ENCRYPTION_KEY_PREVIOUS", OLD)];
const KEYS: usize = 200;

fn add_keys(stage: &Stage, replica: usize, prefix: &str) {
    let key = |n| json!({ "name": format!("{prefix}{n}"), "key": format!("v-{prefix}{n}"), "tier": "t", "secrets": { "s": "x" } });
    let keys: Vec<Value> = (0..KEYS).map(key).collect();
    stage.admin(replica, "POST", "/admin/keys", &Value::from(keys));
}

#[test]
fn every_value_is_sealed_anew_beside_two_replicas() {
    let mut stage = Stage::with(1);
    let tier = json!({ "name": "t", "features": { "f": { "rate_limit": 1_000_000_000 } } });
    stage.admin(0, "POST", "/admin/tiers", &tier);
    add_keys(&stage, 0, "plain");
    stage.kill(0);
    stage.add_replica(&[("ENCRYPTION_KEY", OLD)]);
    add_keys(&stage, 1, "old");
    stage.kill(1);
    stage.add_replica(&BOTH);
    stage.add_replica(&BOTH);

    let environment = stage.environment(&BOTH);
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let client = |replica| Client {
        replica,
        token: ADMIN_TOKEN.to_owned(),
        feature: "f".to_owned(),
        patience_ms: 0,
    };
    let clients = [2, 3, 2, 3].map(client);
    let reseal = || run(stage.folder.path(), &["reseal", "--json"], &environment);
    let (ledger, ended) = draw_while(&stage, &clients, reseal);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["resealed"], 4 * KEYS);
    assert_eq!(
        report["values"],
        json!({ "current": 4 * KEYS, "previous": 0, "original": 0, "plain": 0 })
    );
    let failed = ledger.entries.iter().filter(|entry| !entry.outcome.is_grant()).count();
    assert_eq!(failed, 0, "{}", stage.complaints());
    assert!(ledger.entries.len() > 20, "{} draws", ledger.entries.len());
    assert_eq!(records::contradictions(&stage.file()), Vec::<String>::new());

    // Without the key before, all is served.
    stage.add_replica(&[("ENCRYPTION_KEY", NEW), ("ENCRYPTION_REQUIRED", "true")]);
    let health = stage.ask(4, "GET", "/admin/health", ADMIN_TOKEN, None).json();
    assert_eq!(health["pool_size"], 2 * KEYS);
    let mut values = std::collections::HashSet::new();
    for _ in 0..2 * KEYS {
        let answer = stage.ask(4, "GET", "/key?feature=f", ADMIN_TOKEN, None);
        assert_eq!(answer.status, 200, "{}", answer.body);
        values.insert(answer.json()["value"].as_str().unwrap().to_owned());
    }
    assert!(values.len() > KEYS, "{}", values.len());
}
