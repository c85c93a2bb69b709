//! Promises 1 and 2 under load: many clients at once draw every budget to its last unit, no further, and each grant that
//! was answered has its usage event.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::thread;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Connection, Server, all_events, keys};

const CLIENTS: usize = 32;
const KEYS: usize = 5;
const BUDGET: usize = 100;

#[test]
fn many_clients_draw_every_budget_to_its_last_unit_and_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let admin = Some(ADMIN_TOKEN);
    let tier = r#"{"name":"t","features":{"f":{"rate_limit":1000000000}}}"#;
    assert_eq!(server.request("POST", "/admin/tiers", admin, Some(tier)).status, 201);
    let key = |n| json!({"name": format!("k{n}"), "key": format!("v{n}"), "tier": "t", "usage_limit": BUDGET});
    let added = Value::from((0..KEYS).map(key).collect::<Vec<_>>()).to_string();
    assert_eq!(server.request("POST", "/admin/keys", admin, Some(&added)).status, 201);

    let address = server.address;
    let granted: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| draw_all(address))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(granted.len(), KEYS * BUDGET);
    let granted: HashSet<String> = granted.into_iter().collect();
    assert_eq!(granted.len(), KEYS * BUDGET, "every grant has an id of its own");
    assert_eq!(all_events(&server), granted);
    assert!(keys(&server).iter().all(|key| key["usage_count"] == BUDGET));
}

/// Draws over one connection until it is refused; the draw ids of the grants.
fn draw_all(address: SocketAddr) -> Vec<String> {
    let mut connection = Connection::try_open(address).unwrap();
    let mut granted = Vec::new();
    loop {
        let answer = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None).unwrap();
        if answer.status != 200 {
            assert_eq!(answer.status, 429, "{}", answer.body);
            assert_eq!(answer.json()["code"], "no_usable_key", "{}", answer.body);
            return granted;
        }
        granted.push(answer.json()["draw_id"].as_str().unwrap().to_owned());
    }
}
