//! What clients were answered, outside the server, and whether what is on record agrees with it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kill::{all_events, keys};
use crate::support::{ADMIN_TOKEN, Connection, Server, now, run};

/// As many draws can be in flight.
pub(super) const CLIENTS: usize = 4;

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was received, of one pool and however many servers after one another.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The ids of the draws that were granted, each received in full.
    granted: HashSet<String>,
    /// How many draws may be charged although nobody received them: the answer did not come, or told of doubt.
    in_doubt: usize,
    /// How many failed for certain, by the answer's own word.
    pub(super) failed: usize,
}

/// When clients stop by themselves.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) granted: AtomicUsize,
    pub(super) failed: AtomicUsize,
    pub(super) is_over: AtomicBool,
}

impl Watch {
    /// Waits until so many more are granted than when this was called.
    pub(super) fn wait_for_grants(&self, more: usize) {
        let enough = self.granted.load(Ordering::SeqCst) + more;
        self.wait_until(|| self.granted.load(Ordering::SeqCst) >= enough);
    }

    /// Waits for something that comes of draws.
    ///
    /// # Panics
    /// If it does not come.
    pub(super) fn wait_until(&self, mut is_so: impl FnMut() -> bool) {
        let start = now();
        while !is_so() {
            if start.elapsed() > PATIENCE {
                self.is_over.store(true, Ordering::SeqCst);
                panic!("what draws were to bring about did not come");
            }
            thread::yield_now();
        }
    }
}

/// Sets up keys with a budget each, in two requests. Whether both were answered.
pub(super) fn set_up(server: &Server, number: usize, budget: usize) -> bool {
    let tier = r#"{"name":"t","features":{"f":{"rate_limit":1000000000}}}"#.to_owned();
    let key = |n| json!({"name": format!("k{n}"), "key": format!("v{n}"), "tier": "t", "usage_limit": budget});
    let added = Value::from((0..number).map(key).collect::<Vec<_>>()).to_string();
    [("/admin/tiers", tier), ("/admin/keys", added)].iter().all(|(path, body)| {
        let Ok(answer) = server.try_request("POST", path, Some(ADMIN_TOKEN), Some(body)) else {
            return false;
        };
        assert_eq!(answer.status, 201, "{}", answer.body);
        true
    })
}

impl Ledger {
    /// Draws with all clients until there is nothing left to draw, the server is gone, or the watch says that it is over.
    pub(super) fn draw(&mut self, address: SocketAddr, watch: &Watch) {
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|_| scope.spawn(|| Self::of_one(address, watch))).collect();
            for client in clients {
                self.add(client.join().unwrap());
            }
        });
    }

    /// What one client was answered.
    fn of_one(address: SocketAddr, watch: &Watch) -> Self {
        let mut ledger = Self::default();
        let Ok(mut connection) = Connection::try_open(address) else { return ledger };
        while !watch.is_over.load(Ordering::SeqCst) {
            let Ok(answer) = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None)
            else {
                ledger.in_doubt += 1;
                break;
            };
            let body = answer.json();
            let code = body["code"].as_str().unwrap_or_default();
            match (answer.status, code) {
                (200, _) => {
                    let id = body["draw_id"].as_str().unwrap().to_owned();
                    assert!(ledger.granted.insert(id), "granted twice: {body}");
                    watch.granted.fetch_add(1, Ordering::SeqCst);
                }
                (429, "no_usable_key") => break,
                (503, "store_unavailable") => ledger.failed += 1,
                (503, "commit_in_doubt") => ledger.in_doubt += 1,
                _ => panic!("{}: {}", answer.status, answer.body),
            }
            if answer.status == 503 {
                assert!(answer.header("retry-after").is_some(), "{}", answer.body);
                watch.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
        ledger
    }

    fn add(&mut self, more: Self) {
        for id in more.granted {
            assert!(self.granted.insert(id), "granted to two");
        }
        self.in_doubt += more.in_doubt;
        self.failed += more.failed;
    }

    pub(super) fn granted(&self) -> usize {
        self.granted.len()
    }

    /// Holds it against what a server has on record: each grant has its event, no more is charged than was in doubt, and
    /// counters equal events. How many are charged in all.
    pub(super) fn check(&self, server: &Server, budget: usize) -> usize {
        let events = all_events(server);
        let missing = self.granted.difference(&events).count();
        assert_eq!(missing, 0, "grants without an event\n{}", server.log());
        let charged = events.len() - self.granted.len();
        assert!(charged <= self.in_doubt, "{charged} charged, {} in doubt", self.in_doubt);
        let counted: Vec<u64> =
            keys(server).iter().map(|key| key["usage_count"].as_u64().unwrap()).collect();
        assert_eq!(counted.iter().sum::<u64>(), events.len() as u64);
        assert!(counted.iter().all(|count| *count <= budget as u64), "{counted:?}");
        events.len()
    }
}

/// Runs `keypooler verify` on the pool in a folder, which must find nothing.
pub(super) fn verify(folder: &Path) {
    let report = run(folder, &["verify"], &[("ADMIN_TOKEN", ADMIN_TOKEN)]);
    let said = String::from_utf8_lossy(&report.stdout);
    assert!(report.status.success(), "{said}{}", String::from_utf8_lossy(&report.stderr));
}
