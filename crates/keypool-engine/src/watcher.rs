//! The watcher: one task that asks a shared database how it stands, for all who want to know at once, and now and then
//! when nobody does. What it finds to be behind the committer takes over, between two writes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::committer::Shared;
use crate::freshness::DatabaseClock;
use crate::{Unavailable, report};

/// The least time between two questions.
const PACE: Duration = Duration::from_millis(50);
/// The time after which it asks without being asked: what is listed is then younger than two seconds.
const IDLE: Duration = Duration::from_secs(1);

/// Watches until the pool closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut is_well = true;
    loop {
        let asked = Instant::now();
        let outcome = ask(&shared).await;
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

async fn ask(shared: &Shared) -> Result<(), Unavailable> {
    let (waiting, asked_ms) = {
        let mut live = shared.live();
        (live.take_questions(), live.steady_ms())
    };
    match shared.store.pulse().await {
        Ok(pulse) => {
            let mut live = shared.live();
            let clock = DatabaseClock::of(pulse.now, asked_ms, live.steady_ms());
            live.note_pulse(&pulse, clock, asked_ms);
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
