//! What every write of the committer passes: how it ended is what readiness goes by, and a database that gives no answer
//! is known to be silent.
//!
//! While it is silent nobody is let in who would only wait: the committer itself finds out, once a second, whether it
//! answers again.

use std::pin::pin;
use std::time::Duration;

use keypool_store::WriteError;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::catch_up::renew;
use crate::report;

/// The database is not called silent before it has kept a write waiting for so long, however short its deadlines are.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

impl Shared {
    /// Has something written, and takes note of how that ended.
    pub(super) async fn write(
        &self,
        write: impl Future<Output = Result<(), WriteError>>,
    ) -> Result<(), WriteError> {
        let sent = Instant::now();
        let outcome = self.listen(write).await;
        match &outcome {
            Ok(()) => self.note_commit(true),
            Err(WriteError::Failed(_) | WriteError::InDoubt(_)) => {
                if sent.elapsed() >= LEAST_PATIENCE {
                    self.live().fall_silent();
                }
                self.note_commit(false);
            }
            Err(WriteError::Upgraded) => self.note_commit(false),
            // It answers, and says why nothing was committed.
            Err(
                WriteError::Stale
                | WriteError::Spent
                | WriteError::Clock
                | WriteError::Fenced
                | WriteError::Partly(_),
            ) => self.live().is_silent = false,
        }
        outcome
    }

    /// Waits for an answer of the database. Where it does not come in time the database is silent, whatever comes later.
    pub(super) async fn listen<T>(&self, question: impl Future<Output = T>) -> T {
        let mut question = pin!(question);
        let patience = self.store.deadline().max(LEAST_PATIENCE);
        match timeout(patience, &mut question).await {
            Ok(answer) => answer,
            Err(_) => {
                self.live().fall_silent();
                question.await
            }
        }
    }
}

/// Commits something that changes nothing, to know whether the database takes commits.
pub(super) async fn probe(shared: &Shared) {
    match shared.write(shared.store.probe()).await {
        Ok(()) => {}
        Err(WriteError::Fenced) => renew(shared, Vec::new()).await,
        Err(WriteError::Upgraded) => shared.outdated(),
        Err(WriteError::Failed(error) | WriteError::InDoubt(error)) => {
            report(&error, "the database takes no commits");
        }
        Err(WriteError::Stale | WriteError::Spent | WriteError::Clock | WriteError::Partly(_)) => {
            unreachable!("a probe rests on nothing")
        }
    }
}
