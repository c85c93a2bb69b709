//! Promises 1, 2 and 3 over `kill -9` under load, four times: budgets hold, every grant received has its event, and no
//! more than what was in flight is charged without having been received.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Connection, Server};

const CLIENTS: usize = 16;
const KEYS: usize = 4;
const BUDGET: usize = 1_000;

#[test]
fn killed_under_load_it_never_overruns_and_never_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let admin = Some(ADMIN_TOKEN);
    let mut received: HashSet<String> = HashSet::new();
    let mut unrewarded = 0;
    for round in 0..4 {
        let mut server = Server::start(folder.path(), &[]);
        if round == 0 {
            let tier = r#"{"name":"t","features":{"f":{"rate_limit":1000000000}}}"#;
            assert_eq!(server.request("POST", "/admin/tiers", admin, Some(tier)).status, 201);
            let key = |n| json!({"name": format!("k{n}"), "key": format!("v{n}"), "tier": "t", "usage_limit": BUDGET});
            let keys = Value::from((0..KEYS).map(key).collect::<Vec<_>>()).to_string();
            assert_eq!(server.request("POST", "/admin/keys", admin, Some(&keys)).status, 201);
        }
        let draws = load_until_killed(&mut server, 150 * (round + 1));
        assert!(!draws.is_empty());
        received.extend(draws);

        let server = Server::start(folder.path(), &[]);
        let events = all_events(&server);
        let missing = received.difference(&events).count();
        assert_eq!(missing, 0, "grants without an event after round {round}");
        let charged = events.len() - received.len();
        assert!(
            charged <= unrewarded + CLIENTS,
            "{charged} charged, not received, after round {round}"
        );
        unrewarded = charged;
        let counted: u64 =
            keys(&server).iter().map(|key| key["usage_count"].as_u64().unwrap()).sum();
        assert_eq!(counted, events.len() as u64);
        assert!(keys(&server).iter().all(|key| key["usage_count"].as_u64() <= Some(BUDGET as u64)));
    }
    let server = Server::start(folder.path(), &[]);
    let mut left = 0;
    while server.request("GET", "/key?feature=f", admin, None).status == 200 {
        left += 1;
    }
    assert_eq!(received.len() + unrewarded + left, KEYS * BUDGET);
}

/// Draws with many clients, kills the server once `enough` draws were received, and gives the draw ids received.
fn load_until_killed(server: &mut Server, enough: usize) -> Vec<String> {
    let address = server.address;
    let so_far = AtomicUsize::new(0);
    thread::scope(|scope| {
        let client = || {
            let mut drawn = Vec::new();
            let Ok(mut connection) = Connection::try_open(address) else { return drawn };
            while let Ok(answer) =
                connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None)
            {
                assert_eq!(answer.status, 200, "{}", answer.body);
                drawn.push(answer.json()["draw_id"].as_str().unwrap().to_owned());
                so_far.fetch_add(1, Ordering::SeqCst);
            }
            drawn
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        while so_far.load(Ordering::SeqCst) < enough {
            thread::yield_now();
        }
        server.kill();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// The draw ids of all usage events, page by page. None may be listed twice.
pub(crate) fn all_events(server: &Server) -> HashSet<String> {
    let mut events = HashSet::new();
    let mut path = "/admin/usage?limit=1000".to_owned();
    loop {
        let page = server.request("GET", &path, Some(ADMIN_TOKEN), None).json();
        let page = page.as_array().unwrap().clone();
        for event in &page {
            assert!(events.insert(event["draw_id"].as_str().unwrap().to_owned()), "{event}");
        }
        let Some(last) = page.last() else { return events };
        path = format!("/admin/usage?limit=1000&before={}", last["draw_id"].as_str().unwrap());
    }
}

/// The keys as the admin sees them.
pub(crate) fn keys(server: &Server) -> Vec<Value> {
    server.request("GET", "/admin/keys", Some(ADMIN_TOKEN), None).json().as_array().unwrap().clone()
}
