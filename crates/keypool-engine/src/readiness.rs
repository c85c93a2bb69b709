//! Whether the pool can record draws now: by the last commit, or by one that is made to find out.

use std::time::Duration;

use tokio::time::timeout;

use crate::committer::Shared;
use crate::live::Live;
use crate::{Engine, Unavailable};

/// A commit says so much for so long; the next that is made only to find out comes no sooner.
pub(crate) const PROBE_PACE: Duration = Duration::from_secs(1);
/// The longest that is waited for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the last commit ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastCommit {
    is_good: bool,
    /// When, by the steady clock.
    ended_ms: i64,
}

impl LastCommit {
    /// The one that an opening ends with: a replica number was issued.
    pub(crate) const fn of_opening(ended_ms: i64) -> Self {
        Self { is_good: true, ended_ms }
    }

    const fn verdict(self) -> Result<(), Unavailable> {
        if self.is_good { Ok(()) } else { Err(Unavailable::Store) }
    }
}

impl Engine {
    /// Whether the database takes commits: by the last one where that ended within the last second, else by one that is
    /// made to find out, once for all who ask. It changes nothing but a number of this server's own. Answers within two
    /// seconds, and at once while the database is known to be silent.
    ///
    /// # Errors
    /// [`Unavailable::Store`] if it does not, or does not say in time; [`Unavailable::Closing`] once the pool closes.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        let mut commits = self.shared.commits.subscribe();
        {
            let mut live = self.shared.live();
            let last = *commits.borrow_and_update();
            let age_ms = live.steady_ms().saturating_sub(last.ended_ms);
            match () {
                () if live.is_closing => return Err(Unavailable::Closing),
                () if live.is_silent => return Err(Unavailable::Store),
                () if u128::try_from(age_ms).is_ok_and(|ms| ms < PROBE_PACE.as_millis()) => {
                    return last.verdict();
                }
                () => live.is_probe_wanted = true,
            }
        }
        self.shared.wake();
        match timeout(PATIENCE, commits.changed()).await {
            Ok(Ok(())) => commits.borrow().verdict(),
            Ok(Err(_)) => Err(Unavailable::Closing),
            Err(_) => Err(Unavailable::Store),
        }
    }
}

impl Shared {
    /// Takes note of how a commit ended, and tells whoever asks whether the pool is ready.
    pub(crate) fn note_commit(&self, is_good: bool) {
        let mut live = self.live();
        if is_good && std::mem::take(&mut live.is_silent) {
            tracing::info!("the database answers again");
        }
        live.is_probe_wanted = false;
        self.commits.send_replace(LastCommit { is_good, ended_ms: live.steady_ms() });
    }
}

impl Live {
    /// The database gives no answer: whoever waits is refused now, and whoever comes at once, until a commit succeeds.
    pub(crate) fn fall_silent(&mut self) {
        if !std::mem::replace(&mut self.is_silent, true) {
            tracing::warn!(
                "the database is silent: draws and changes are refused until it answers"
            );
        }
        self.refuse_all();
    }
}
