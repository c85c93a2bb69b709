//! What clients were answered, outside the server, and whether what is on record agrees with it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Connection, Server, all_events, keys, now};

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Is in every value, and never in a log.
const UNHEARD: &str = "hush";

/// Keys, each with the same budget, and what was received of them, from however many servers after one another.
#[derive(Debug)]
pub(super) struct Ledger {
    keys: usize,
    /// How often each key may be drawn.
    budget: usize,
    /// As many draws can be in flight.
    clients: usize,
    answers: Answers,
}

/// What clients were answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The ids of the draws that were granted, each received in full.
    granted: HashSet<String>,
    /// How many draws may be charged although nobody received them: the answer did not come, or told of doubt.
    pub(super) in_doubt: usize,
    /// How many failed, and used nothing up by the answer's own word.
    pub(super) failed: usize,
}

/// Clients that draw, until this is dropped, whatever becomes of who waits for them.
#[derive(Debug)]
pub(super) struct Draws<'a> {
    server: &'a Server,
    so_far: &'a SoFar,
}

/// What all clients were answered so far.
#[derive(Debug, Default)]
struct SoFar {
    granted: AtomicUsize,
    unavailable: AtomicUsize,
    is_over: AtomicBool,
}

/// What of the set-up was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SetUp {
    Nothing,
    Tier,
    Keys,
}

/// The value of the key of this number.
pub(super) fn value(number: usize) -> String {
    format!("{UNHEARD}-{number}")
}

impl Ledger {
    pub(super) fn new(keys: usize, budget: usize, clients: usize) -> Self {
        Self { keys, budget, clients, answers: Answers::default() }
    }

    /// Adds the keys, as far as the server is there.
    pub(super) fn set_up(&self, server: &Server) -> SetUp {
        let tier = r#"{"name":"t","features":{"f":{"rate_limit":1000000000}}}"#.to_owned();
        let key = |n| json!({"name": format!("k{n}"), "key": value(n), "tier": "t", "usage_limit": self.budget});
        let keys = Value::from((0..self.keys).map(key).collect::<Vec<_>>()).to_string();
        let mut so_far = SetUp::Nothing;
        for (path, body, then) in
            [("/admin/tiers", tier, SetUp::Tier), ("/admin/keys", keys, SetUp::Keys)]
        {
            let Ok(answer) = server.try_request("POST", path, Some(ADMIN_TOKEN), Some(&body))
            else {
                break;
            };
            assert_eq!(answer.status, 201, "{}", answer.body);
            so_far = then;
        }
        so_far
    }

    /// Draws with all clients until there is nothing left or the server is gone.
    pub(super) fn draw_all(&mut self, server: &Server) {
        self.draw(server.address, &SoFar::default());
    }

    /// Draws with all clients, until the work beside is done.
    pub(super) fn draw_while<T>(
        &mut self,
        server: &Server,
        work: impl FnOnce(&Draws<'_>) -> T,
    ) -> T {
        let so_far = SoFar::default();
        let address = server.address;
        thread::scope(|scope| {
            scope.spawn(|| self.draw(address, &so_far));
            work(&Draws { server, so_far: &so_far })
        })
    }

    fn draw(&mut self, address: SocketAddr, so_far: &SoFar) {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients)
                .map(|_| scope.spawn(|| Answers::of_one(address, so_far)))
                .collect();
            for client in clients {
                self.answers.add(client.join().unwrap());
            }
        });
    }

    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Holds it against what a server has on record: each grant has its event, no more is charged than was in doubt, counters
    /// equal events, no budget is overrun. How many events there are.
    pub(super) fn check(&self, server: &Server) -> usize {
        let Answers { granted, in_doubt, .. } = &self.answers;
        let events = all_events(server);
        let missing = granted.difference(&events).count();
        assert_eq!(missing, 0, "grants without an event\n{}", server.log());
        let charged = events.len() - granted.len();
        assert!(charged <= *in_doubt, "{charged} charged, {in_doubt} in doubt\n{}", server.log());
        let counted: Vec<u64> =
            keys(server).iter().map(|key| key["usage_count"].as_u64().unwrap()).collect();
        assert_eq!(counted.len(), self.keys);
        assert_eq!(counted.iter().sum::<u64>(), events.len() as u64);
        assert!(counted.iter().all(|count| *count <= self.budget as u64), "{counted:?}");
        assert!(!server.log().contains(UNHEARD), "a value is in the log");
        events.len()
    }

    /// The same, and then draws what is left: all that there is, to the last unit.
    pub(super) fn check_to_the_last(&mut self, server: &Server) {
        let charged = self.check(server);
        let before = self.answers.granted();
        self.draw_all(server);
        let left = self.answers.granted() - before;
        assert_eq!(charged + left, self.keys * self.budget, "{}", server.log());
        self.check(server);
    }
}

impl Answers {
    pub(super) fn granted(&self) -> usize {
        self.granted.len()
    }

    /// What one client is answered.
    fn of_one(address: SocketAddr, so_far: &SoFar) -> Self {
        let mut answers = Self::default();
        let Ok(mut connection) = Connection::try_open(address) else { return answers };
        while !so_far.is_over.load(Ordering::SeqCst) {
            let answer = connection.request("GET", "/key?feature=f", Some(ADMIN_TOKEN), None);
            let Ok(answer) = answer else {
                answers.in_doubt += 1;
                break;
            };
            let body = answer.json();
            match (answer.status, body["code"].as_str().unwrap_or_default()) {
                (200, _) => {
                    let id = body["draw_id"].as_str().unwrap().to_owned();
                    assert!(answers.granted.insert(id), "granted twice: {body}");
                    so_far.granted.fetch_add(1, Ordering::SeqCst);
                }
                (429, "no_usable_key") => break,
                (503, code) => {
                    assert!(answer.header("retry-after").is_some(), "{}", answer.body);
                    match code {
                        "store_unavailable" | "overloaded" => answers.failed += 1,
                        "commit_in_doubt" => answers.in_doubt += 1,
                        _ => panic!("{}", answer.body),
                    }
                    so_far.unavailable.fetch_add(1, Ordering::SeqCst);
                }
                _ => panic!("{}: {}", answer.status, answer.body),
            }
        }
        answers
    }

    fn add(&mut self, more: Self) {
        for id in more.granted {
            assert!(self.granted.insert(id), "granted to two");
        }
        self.in_doubt += more.in_doubt;
        self.failed += more.failed;
    }
}

impl Draws<'_> {
    /// Waits for so many more grants.
    pub(super) fn wait_for_grants(&self, more: usize) {
        self.wait_for(&self.so_far.granted, more);
    }

    /// Waits for so many more answers that tell of no key.
    pub(super) fn wait_for_failures(&self, more: usize) {
        self.wait_for(&self.so_far.unavailable, more);
    }

    fn wait_for(&self, count: &AtomicUsize, more: usize) {
        let enough = count.load(Ordering::SeqCst) + more;
        let start = now();
        while count.load(Ordering::SeqCst) < enough {
            let log = || self.server.log();
            assert!(start.elapsed() < PATIENCE, "the answers do not come\n{}", log());
            thread::yield_now();
        }
    }
}

impl Drop for Draws<'_> {
    fn drop(&mut self) {
        self.so_far.is_over.store(true, Ordering::SeqCst);
    }
}
