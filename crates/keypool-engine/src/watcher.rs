//! The watcher: one task that asks a shared database how it stands, for all who want to know at once, and now and then
//! when nobody does. What it finds to be behind the committer takes over, between two writes.

use std::sync::Arc;
use std::time::Duration;

use keypool_core::ReplicaNo;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::committer::Shared;
use crate::freshness::{DatabaseClock, LookBack};
use crate::live::About;
use crate::meters::Answered;
use crate::{Broken, Unavailable, report};

/// The least time between two questions.
const PACE: Duration = Duration::from_millis(50);
/// Up to so much more, by chance.
const JITTER_MS: u64 = 50;
/// The time after which it asks without being asked: what is listed is then younger than two seconds.
const IDLE: Duration = Duration::from_secs(1);
/// The least time between two takings over of what others drew, where nobody is refused for a limit.
const COUNTERS: Duration = Duration::from_millis(900);

/// Watches until the pool closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let _last_look = LastLook(&shared);
    let mut is_well = true;
    let mut counters_due = Instant::now();
    let mut jitter = Jitter::of(shared.live().replica);
    loop {
        let asked = Instant::now();
        let is_due = asked >= counters_due;
        if is_due {
            counters_due = asked + COUNTERS;
        }
        let outcome = ask(&shared, is_due).await;
        if outcome.is_err() && is_well {
            tracing::warn!("the database does not answer; asking on");
        }
        is_well = outcome.is_ok();
        // Whoever asks meanwhile waits for the next answer, which is then not older than the question.
        sleep_until(asked + PACE + jitter.next()).await;
        if shared.live().is_closing {
            return;
        }
        if !shared.live().is_asked() {
            let _ = timeout_at(asked + IDLE, shared.questions.notified()).await;
        }
    }
}

/// Replicas that asked in step with each other and with windows of whole seconds would open these in the same order each
/// time: the last would find them used up. Each replica has its own sequence, by its number.
struct Jitter(u64);

impl Jitter {
    fn of(replica: ReplicaNo) -> Self {
        Self(u64::from(replica.get()))
    }

    fn next(&mut self) -> Duration {
        // Knuth's MMIX: a linear congruential generator, of which the high bits are good enough.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % JITTER_MS)
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

async fn ask(shared: &Shared, is_due: bool) -> Result<(), Unavailable> {
    let (waiting, asked_ms) = {
        let mut live = shared.live();
        (live.take_questions(), live.steady_ms())
    };
    // Whoever is refused for a limit asks about counters, and soon draws again: those of late are enough for that.
    let look_back = match () {
        () if is_due => Some(LookBack::Far),
        () if waiting.iter().any(|question| question.about == About::Limits) => {
            Some(LookBack::Near)
        }
        () => None,
    };
    let pulse = shared.store.pulse().await;
    shared.meters.pulses.add(if pulse.is_ok() { Answered::Yes } else { Answered::No });
    match pulse {
        Ok(pulse) => {
            let mut live = shared.live();
            let clock = DatabaseClock::of(pulse.now, asked_ms, live.steady_ms());
            live.note_pulse(&pulse, clock, asked_ms, look_back);
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
                let _ = question.answer.send(Err(Unavailable::Store));
            }
            Err(Unavailable::Store)
        }
    }
}
