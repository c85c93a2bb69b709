//! The knobs: what is to go wrong, when, and what the clock says.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::ServerClock;
use crate::plan::Plan;
use crate::streams::Streams;

/// Something that goes wrong with a request to `/v3/pipeline` or `/v3/cursor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing goes wrong: the [`Injection`] only counts.
    Nothing,
    /// The connection is closed, without acting and without an answer.
    Refuse,
    /// The server acts only after this time, even where the client has left meanwhile.
    DelayBefore(Duration),
    /// The server acts at once and answers after this time.
    DelayAfter(Duration),
    /// The server acts, then closes the connection without an answer.
    DropAnswer,
    /// The connection is closed at once, and the server acts after this time.
    ActLate(Duration),
    /// The server acts twice and gives the second answer.
    Repeat,
    /// All streams expire before the server acts.
    ExpireStreams,
    /// All transactions that wait for their next request are rolled back before the server acts, this request's too.
    StealLocks,
    /// The answer is 429 with a plain text; the server does not act.
    TooManyRequests,
    /// The answer is 502 with a body that is not UTF-8; the server does not act.
    BadGateway,
    /// The server acts, and the answer's body ends in its middle, although the HTTP message is whole.
    TruncatedJson,
    /// The server acts, and the answer's body lacks its last lines, although the HTTP message is whole.
    TruncatedCursor,
    /// Neither acts nor answers. The connection is closed when the faults are cleared or the server stops.
    Hang,
}

/// Which requests a fault strikes. The default: all.
///
/// The libsql crate sends some that nobody asked for: to describe a statement before it is queried, and to close a
/// stream when its connection is dropped. Counts are safe only for requests that match a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Only requests whose body contains this text.
    pub matching: Option<String>,
    /// Only so many of those. None: all.
    pub count: Option<u64>,
    /// Spares so many of those first.
    pub skip: u64,
}

impl When {
    /// All requests, until the fault is removed.
    pub fn always() -> Self {
        Self::default()
    }

    /// The next request.
    pub fn once() -> Self {
        Self::times(1)
    }

    /// The next requests, so many of them.
    pub fn times(count: u64) -> Self {
        Self { count: Some(count), ..Self::default() }
    }

    /// Of those only the ones whose body contains this text.
    #[must_use]
    pub fn matching(self, text: impl Into<String>) -> Self {
        Self { matching: Some(text.into()), ..self }
    }

    /// Of those not the first ones.
    #[must_use]
    pub fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }
}

/// A server's faults and clock. Clones turn the same knobs; a restart leaves them as they are.
#[derive(Clone, Debug)]
pub struct Faults {
    knobs: Arc<Knobs>,
}

#[derive(Debug)]
struct Knobs {
    rules: Mutex<Vec<Rule>>,
    has_rules: AtomicBool,
    last_id: AtomicU64,
    latency_ns: AtomicU64,
    /// How often the faults were cleared.
    cleared: watch::Sender<u64>,
    clock: Arc<ServerClock>,
    streams: Arc<Streams>,
}

#[derive(Debug)]
struct Rule {
    id: u64,
    fault: Fault,
    when: When,
    hits: Arc<AtomicU64>,
}

/// A fault that was injected. It stays when this is dropped.
#[derive(Clone, Debug)]
pub struct Injection {
    id: u64,
    hits: Arc<AtomicU64>,
    faults: Faults,
}

impl Injection {
    /// How many requests it has struck.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    /// Strikes no more.
    pub fn remove(&self) {
        let mut rules = self.faults.rules();
        rules.retain(|rule| rule.id != self.id);
        self.faults.knobs.has_rules.store(!rules.is_empty(), Ordering::SeqCst);
    }
}

impl Faults {
    pub(crate) fn new(clock: Arc<ServerClock>, streams: Arc<Streams>) -> Self {
        let knobs = Knobs {
            rules: Mutex::default(),
            has_rules: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            latency_ns: AtomicU64::new(0),
            cleared: watch::Sender::new(0),
            clock,
            streams,
        };
        Self { knobs: Arc::new(knobs) }
    }

    /// Lets something go wrong. Several faults may strike the same request.
    pub fn inject(&self, fault: Fault, when: When) -> Injection {
        let id = self.knobs.last_id.fetch_add(1, Ordering::SeqCst);
        let hits = Arc::new(AtomicU64::new(0));
        let mut rules = self.rules();
        rules.push(Rule { id, fault, when, hits: Arc::clone(&hits) });
        self.knobs.has_rules.store(true, Ordering::SeqCst);
        Injection { id, hits, faults: self.clone() }
    }

    /// Removes all faults and lets go of what hangs. Latency and clock stay as they are.
    pub fn clear(&self) {
        let mut rules = self.rules();
        rules.clear();
        self.knobs.has_rules.store(false, Ordering::SeqCst);
        self.knobs.cleared.send_modify(|times| *times += 1);
    }

    /// Lets every request take this much longer: half before the server acts, half after. Zero takes it away.
    pub fn set_latency(&self, latency: Duration) {
        let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.knobs.latency_ns.store(latency_ns, Ordering::SeqCst);
    }

    /// Expires all streams now, which rolls back their transactions.
    pub fn expire_streams(&self) {
        self.knobs.streams.expire_all();
    }

    /// Rolls back all transactions that wait for their next request, as if their locks were stolen.
    pub fn steal_locks(&self) {
        self.knobs.streams.steal_all();
    }

    /// Lets the server's clock run this many milliseconds ahead of the system's; negative: behind.
    pub fn skew_clock(&self, skew_ms: i64) {
        self.knobs.clock.skew(skew_ms);
    }

    /// Stops the server's clock at this time in milliseconds since the Unix epoch. None: it runs again.
    pub fn set_clock(&self, now_ms: Option<i64>) {
        self.knobs.clock.set(now_ms);
    }

    /// What the server's clock says, in milliseconds since the Unix epoch.
    pub fn clock_ms(&self) -> i64 {
        self.knobs.clock.now_ms()
    }

    /// What is to go wrong with a request of this body.
    pub(crate) fn strike(&self, body: &[u8]) -> Plan {
        let mut plan = Plan::default();
        if !self.knobs.has_rules.load(Ordering::SeqCst) {
            return plan;
        }
        for rule in self.rules().iter_mut() {
            if rule.strikes(body) {
                rule.hits.fetch_add(1, Ordering::SeqCst);
                plan.add(rule.fault);
            }
        }
        plan
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_nanos(self.knobs.latency_ns.load(Ordering::Relaxed))
    }

    /// Waits until the faults are cleared.
    pub(crate) async fn cleared(&self) {
        let mut cleared = self.knobs.cleared.subscribe();
        // The sender lives as long as this handle, so there is no error to tell.
        let _ = cleared.changed().await;
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.knobs.rules.lock().expect("no thread panics while it looks at the faults")
    }
}

impl Rule {
    /// Whether it strikes this request, which is then counted.
    fn strikes(&mut self, body: &[u8]) -> bool {
        let is_meant = match &self.when.matching {
            Some(text) => contains(body, text.as_bytes()),
            None => true,
        };
        if !is_meant || self.when.count == Some(0) {
            return false;
        }
        if self.when.skip > 0 {
            self.when.skip -= 1;
            return false;
        }
        self.when.count = self.when.count.map(|count| count - 1);
        true
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}
