//! Clients that draw without pause, each over one connection that it opens anew where it broke.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger::{Entry, Ledger, Outcome};
use crate::stage::{Replica, Stage, pause};
use crate::support::Connection;

/// What one client does.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) replica: usize,
    pub(crate) token: String,
    pub(crate) feature: String,
    /// How long it waits after a refusal.
    pub(crate) patience_ms: u64,
}

/// Lets clients draw while `play` goes on. What they were answered, and what `play` gives.
pub(crate) fn draw_while<T>(
    stage: &Stage,
    clients: &[Client],
    play: impl FnOnce() -> T,
) -> (Ledger, T) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        let start = |client| {
            let client: &Client = client;
            scope.spawn(move || draw(&stage.replicas()[client.replica], client, is_over))
        };
        let drawing: Vec<_> = clients.iter().map(start).collect();
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
        is_over.store(true, Ordering::SeqCst);
        let entries = drawing.into_iter().flat_map(|client| client.join().unwrap()).collect();
        match played {
            Ok(played) => (Ledger { entries }, played),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn draw(replica: &Replica, client: &Client, is_over: &AtomicBool) -> Vec<Entry> {
    let path = format!("/key?feature={}", client.feature);
    let mut entries = Vec::new();
    let mut kept: Option<Connection> = None;
    while !is_over.load(Ordering::SeqCst) {
        let opened = kept.take().or_else(|| Connection::try_open(replica.address()?).ok());
        let Some(mut connection) = opened else {
            pause(20);
            continue;
        };
        let sent = Instant::now();
        let outcome = Outcome::of(connection.request("GET", &path, Some(&client.token), None));
        let ended = Instant::now();
        if outcome != Outcome::Lost {
            kept = Some(connection);
        }
        if !outcome.is_grant() {
            thread::sleep(Duration::from_millis(client.patience_ms));
        }
        let feature = client.feature.clone();
        entries.push(Entry { replica: client.replica, feature, outcome, sent, ended });
    }
    entries
}
