//! Whoever asks whether memory is what the database has, before a refusal is given.

use keypool_store::Pulse;

use super::{Confirmation, Live, MOST_QUESTIONS};
use crate::Unavailable;
use crate::freshness::{DatabaseClock, Freshness, LookBack};

/// What somebody was refused for, and would have confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A token, a scope, a feature, a name.
    Pool,
    /// Limits: counters are part of the answer.
    Limits,
}

/// A question to the watcher, and the way back.
pub(crate) struct Question {
    pub(crate) about: About,
    pub(crate) answer: Confirmation,
}

impl Live {
    /// Tells once memory is known to be what the database has, when the committer has seen to it.
    pub(crate) fn await_certainty(&mut self, confirmation: Confirmation) {
        self.confirmations.push(confirmation);
    }

    /// Tells once the committer has taken over what others drew, and changed.
    pub(crate) fn await_counters(&mut self, confirmation: Confirmation) {
        self.freshness = self.freshness.max(Freshness::CountersBehind);
        self.await_certainty(confirmation);
    }

    /// How old is what memory has of a shared database; `None` where it was never compared.
    pub(crate) fn age_ms(&self) -> Option<i64> {
        self.seen.as_of_ms.map(|as_of_ms| self.steady_ms() - as_of_ms)
    }

    /// Tells once a shared database was asked and memory is what it has.
    pub(crate) fn ask(&mut self, about: About, answer: Confirmation) {
        if self.questions.len() + self.confirmations.len() >= MOST_QUESTIONS {
            // Whoever asked may be gone.
            let _ = answer.send(Err(Unavailable::Overloaded));
        } else {
            self.questions.push(Question { about, answer });
        }
    }

    /// Whether anybody waits for the watcher.
    pub(crate) fn is_asked(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Whether anybody waits for the committer.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.queue.is_empty() || !self.confirmations.is_empty()
    }

    /// The questions that an answer from the database will settle that is asked for from now on.
    pub(crate) fn take_questions(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.questions)
    }

    /// Settles questions by the pulse that was just noted: at once, or when the committer has caught up.
    pub(crate) fn answer_questions(&mut self, questions: Vec<Question>) {
        for Question { about, answer } in questions {
            let is_settled = match self.freshness {
                Freshness::Current => true,
                Freshness::CountersBehind => about == About::Pool,
                Freshness::PoolBehind | Freshness::Doubtful => false,
            };
            if is_settled {
                let _ = answer.send(Ok(()));
            } else if self.is_closing {
                // The committer may have ended: nobody would tell.
                let _ = answer.send(Err(Unavailable::Closing));
            } else {
                self.confirmations.push(answer);
            }
        }
    }

    /// Tells those who wait for the committer.
    pub(super) fn confirm(&mut self, outcome: &Result<(), Unavailable>) {
        for confirmation in self.confirmations.drain(..) {
            let _ = confirmation.send(outcome.clone());
        }
    }

    /// Takes note of what a shared database says of itself. What others drew is taken over where it is to be
    /// looked at: that takes reading the events of some seconds.
    pub(crate) fn note_pulse(
        &mut self,
        pulse: &Pulse,
        clock: DatabaseClock,
        asked_ms: i64,
        look_back: Option<LookBack>,
    ) {
        self.freshness = self.freshness.max(self.seen.judge(pulse, self.revision, look_back));
        self.seen.look_back = self.seen.look_back.max(look_back.unwrap_or_default());
        self.seen.revision = pulse.revision;
        self.seen.latest = pulse.latest_grant;
        if self.freshness == Freshness::Current && pulse.latest_grant == self.seen.counters {
            self.seen.as_of_ms = Some(asked_ms);
        }
        let known = self.database_clock.map_or(clock, |known| known.or_better(clock));
        self.database_clock = Some(known);
    }

    /// Takes note of the revision that a file has, which a guest may have raised; tells once memory is as far.
    pub(crate) fn note_revision(&mut self, revision: i64, confirmation: Confirmation) {
        self.seen.revision = revision;
        if self.is_closing {
            return;
        }
        if revision > self.revision {
            self.freshness = self.freshness.max(Freshness::PoolBehind);
            self.await_certainty(confirmation);
        } else {
            let _ = confirmation.send(Ok(()));
        }
    }

    /// Goes by another reading of the database's clock, whatever is known of it.
    pub(crate) fn reset_clock(&mut self, clock: DatabaseClock) {
        self.database_clock = Some(clock);
    }
}
