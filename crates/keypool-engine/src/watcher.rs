//! The watcher: one task that asks a shared database how it stands, for all who want to know at once, and now and then
//! when nobody does. What it finds to be behind the committer takes over, between two writes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::committer::Shared;
use crate::freshness::DatabaseClock;
use crate::{Broken, Unavailable, report};

/// The least time between two questions.
const PACE: Duration = Duration::from_millis(50);
/// The time after which it asks without being asked: what is listed is then younger than two seconds.
const IDLE: Duration = Duration::from_secs(1);
/// The least time between two takings over of what others drew.
const COUNTERS: Duration = Duration::from_millis(900);

/// Watches until the pool closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let _last_look = LastLook(&shared);
    let mut is_well = true;
    let mut counters_due = Instant::now();
    loop {
        let asked = Instant::now();
        let counters_are_due = asked >= counters_due;
        if counters_are_due {
            counters_due = asked + COUNTERS;
        }
        let outcome = ask(&shared, counters_are_due).await;
        if outcome.is_err() && is_well {
            tracing::warn!("the database does not answer; asking on");
        }
        is_well = outcome.is_ok();
        // Whoever asks meanwhile waits for the next answer, which is then not older than the question.
        sleep_until(asked + PACE).await;
        if shared.live().is_closing {
            return;
        }
        if !shared.live().is_asked() {
            let _ = timeout_at(asked + IDLE, shared.questions.notified()).await;
        }
    }
}

/// Tells whoever waits when the watcher ends, by a panic too.
struct LastLook<'a>(&'a Shared);

impl Drop for LastLook<'_> {
    fn drop(&mut self) {
        drop(self.0.live().take_questions());
        if std::thread::panicking() {
            tracing::error!("the watcher ended by a panic: no refusal can be confirmed any more");
            self.0.broken.send_replace(Some(Broken::Bug));
        }
    }
}

async fn ask(shared: &Shared, counters_are_due: bool) -> Result<(), Unavailable> {
    let (waiting, asked_ms) = {
        let mut live = shared.live();
        (live.take_questions(), live.steady_ms())
    };
    match shared.store.pulse().await {
        Ok(pulse) => {
            let mut live = shared.live();
            let clock = DatabaseClock::of(pulse.now, asked_ms, live.steady_ms());
            live.note_pulse(&pulse, clock, asked_ms, counters_are_due);
            live.answer_questions(waiting);
            drop(live);
            if !pulse.is_known_schema {
                shared.outdated();
            }
            shared.wake();
            Ok(())
        }
        Err(error) => {
            if !waiting.is_empty() {
                report(&error, "the database could not be asked how it stands");
            }
            for question in waiting {
                let _ = question.send(Err(Unavailable::Store));
            }
            Err(Unavailable::Store)
        }
    }
}
