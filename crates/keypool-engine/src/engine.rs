//! The engine's handle: answers who may call, draws, lists, and closes.

mod opening;

use std::sync::Arc;

use keypool_core::{FeatureNo, Timestamp};
use keypool_crypto::{Sealer, TokenDigest};
use keypool_store::{FileFigures, StoreSettings};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::committer::Shared;
use crate::freshness::Freshness;
use crate::gathering::{Asked, Recorded};
use crate::live::About;
use crate::views::{ConsumerView, TierView, in_pieces};
use crate::{Caller, DrawError, DrawId, Refusal, Served, Unavailable, report};

/// How often a draw is tried whose refusals turn out to rest on what is old by now.
const MOST_TRIES: u32 = 64;
/// What is listed of a shared database is at most so old, in milliseconds.
const LISTING_AGE_MS: i64 = 2_000;

/// What it takes to open a pool.
#[derive(Debug)]
pub struct EngineSettings {
    /// Where the pool is stored, and how.
    pub store: StoreSettings,
    /// Opens and seals values.
    pub sealer: Sealer,
    /// Digests of the tokens that are the admin's; none where nobody calls over a network.
    pub admin_tokens: Vec<TokenDigest>,
    /// Where time comes from.
    pub clock: Clock,
    /// Whether a wall clock more than 24 hours behind the newest usage event is accepted.
    pub accept_clock: bool,
}

/// A live pool. Clones share it. It should be [closed](Engine::close); one that is merely dropped stops at once, as a
/// killed process does, and loses nothing that was answered.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    admin_tokens: Arc<[TokenDigest]>,
    /// The committer, and who looks after what others write: the watcher or, on a file, the lookout.
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// A grant that is being recorded, or why there is none.
type Tried = Result<oneshot::Receiver<Result<Recorded, DrawError>>, DrawError>;

/// Why an engine can record nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It came upon a bug in itself; it can be opened anew.
    Bug,
    /// A newer version has brought the shared database to its schema: that version is to be started.
    Outdated,
}

impl Engine {
    /// Whom a bearer token belongs to, if to anybody. Tokens are compared by their digests, in constant time.
    #[must_use]
    pub fn authenticate(&self, token: &str) -> Option<Caller> {
        let digest = TokenDigest::of(token);
        // Every admin token is compared, whichever fits.
        let is_admin =
            self.admin_tokens.iter().fold(false, |fits, admin| fits | admin.matches(&digest));
        if is_admin {
            return Some(Caller::Admin);
        }
        let mut live = self.shared.live();
        let now = live.now();
        let number = live.roster.consumer_with_token(&digest, now)?;
        Some(Caller::Consumer { number, token: digest.tag() })
    }

    /// Whether a caller's token is accepted still: it may have been replaced, its consumer removed or deactivated, or
    /// either may have expired.
    #[must_use]
    pub fn accepts(&self, caller: Caller) -> bool {
        match caller {
            Caller::Admin => true,
            Caller::Consumer { number, token } => {
                let mut live = self.shared.live();
                let now = live.now();
                live.roster.consumer_accepting(number, token, now).is_some()
            }
        }
    }

    /// The door that every refusal from memory passes: returns once memory is known to be what the database has. At once
    /// where there is one server, as on `SQLite`, whose file is locked; unless the outcome of a commit is in doubt or a guest
    /// was seen to have changed the pool: then that is settled first. A shared database is asked once for all who wait,
    /// every 50 ms at most.
    ///
    /// # Errors
    /// [`Unavailable`] if that can't be found out.
    pub async fn confirm_current(&self) -> Result<(), Unavailable> {
        self.confirm(About::Pool).await
    }

    async fn confirm(&self, about: About) -> Result<(), Unavailable> {
        let (confirmation, confirmed) = oneshot::channel();
        {
            let mut live = self.shared.live();
            if live.is_closing {
                return Err(Unavailable::Closing);
            }
            if live.is_silent {
                return Err(Unavailable::Store);
            }
            if self.is_shared() {
                live.ask(about, confirmation);
                self.shared.questions.notify_one();
            } else if live.freshness != Freshness::Current {
                live.await_certainty(confirmation);
                self.shared.wake();
            } else {
                return Ok(());
            }
        }
        confirmed.await.unwrap_or(Err(Unavailable::Closing))
    }

    /// The door before every listing: returns once memory is at most two seconds old. At once where nobody else writes.
    ///
    /// # Errors
    /// [`Unavailable`] if the shared database does not answer.
    pub async fn confirm_recent(&self) -> Result<(), Unavailable> {
        let (confirmation, confirmed) = oneshot::channel();
        {
            let mut live = self.shared.live();
            if !self.is_shared() || live.age_ms().is_some_and(|age_ms| age_ms < LISTING_AGE_MS) {
                return Ok(());
            }
            if live.is_closing {
                return Err(Unavailable::Closing);
            }
            if live.is_silent {
                return Err(Unavailable::Store);
            }
            live.await_counters(confirmation);
        }
        self.shared.wake();
        confirmed.await.unwrap_or(Err(Unavailable::Closing))
    }

    /// The door before every listing of consumers: returns once memory is recent, and knows when each was granted a key
    /// last, as far as other replicas have noted it.
    ///
    /// # Errors
    /// [`Unavailable`] if the shared database does not answer.
    pub async fn confirm_uses(&self) -> Result<(), Unavailable> {
        self.confirm_recent().await?;
        if self.is_shared() {
            let uses = self.shared.store.uses().await.map_err(|error| {
                report(&error, "what consumers were granted last could not be read");
                Unavailable::Store
            })?;
            self.shared.live().uses.learn(&uses);
        }
        Ok(())
    }

    fn is_shared(&self) -> bool {
        self.shared.store.is_shared()
    }

    /// Comes to pass if the engine can no longer record anything; it should then be closed.
    pub async fn broken(&self) -> Broken {
        let mut broken = self.shared.broken.subscribe();
        match broken.wait_for(Option::is_some).await.map(|broken| *broken) {
            Ok(Some(broken)) => broken,
            // The sender lives as long as the engine.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The caller's name, for logs: `admin`, or the consumer's.
    #[must_use]
    pub fn caller_name(&self, caller: Caller) -> Option<Arc<str>> {
        match caller {
            Caller::Admin => Some(Arc::from("admin")),
            Caller::Consumer { number, .. } => {
                let live = self.shared.live();
                live.roster.consumers.get(&number).map(|consumer| Arc::clone(&consumer.name))
            }
        }
    }

    /// Whether any tier has, or had, a feature of this name.
    #[must_use]
    pub fn knows_feature(&self, name: &str) -> bool {
        self.shared.live().roster.feature(name).is_some()
    }

    /// Draws a key for a feature. The grant is on record before the value is opened.
    ///
    /// Dropping the future does not undo a grant that is being recorded.
    ///
    /// # Errors
    /// [`DrawError::Refused`] with the reason, nothing used up; [`DrawError::Unavailable`] if it could not be recorded.
    pub async fn draw(&self, caller: Caller, feature: &str) -> Result<Served, DrawError> {
        let begun = Instant::now();
        let (number, decided) = self.decide(caller, feature).await;
        self.shared.meters.answered(number, decided.as_ref().err(), begun.elapsed());
        decided.map(|recorded| self.reveal(&recorded))
    }

    /// The grant, on record, or why there is none; and the number of the feature, where the name is one's.
    async fn decide(
        &self,
        caller: Caller,
        feature: &str,
    ) -> (Option<FeatureNo>, Result<Recorded, DrawError>) {
        let mut is_confirmed = false;
        let mut last_number = None;
        for _ in 0..MOST_TRIES {
            let (number, tried) = self.try_draw(caller, feature);
            last_number = number;
            let (decided, is_final) = match tried {
                Ok(recorded) => (recorded.await.unwrap_or(Err(closing())), false),
                Err(refused) => (Err(refused), is_confirmed),
            };
            match decided {
                // What it was refused on may be older than the question.
                Err(DrawError::Refused(refusal)) if !is_final && self.may_be_behind() => {
                    if let Err(unavailable) = self.confirm(about(refusal)).await {
                        return (number, Err(DrawError::Unavailable(unavailable)));
                    }
                    is_confirmed = true;
                }
                decided => return (number, decided),
            }
        }
        (last_number, Err(DrawError::Unavailable(Unavailable::Overloaded)))
    }

    fn may_be_behind(&self) -> bool {
        self.is_shared() || self.shared.live().freshness != Freshness::Current
    }

    fn try_draw(&self, caller: Caller, feature: &str) -> (Option<FeatureNo>, Tried) {
        let (reply, recorded) = oneshot::channel();
        let mut live = self.shared.live();
        let number = live.roster.feature(feature);
        let admitted = live
            .admit_draw()
            .map_err(DrawError::Unavailable)
            .and_then(|()| live.named(caller, number).map_err(DrawError::Refused));
        let decided = admitted.and_then(|feature| {
            let asked = Asked { caller, feature, overruled: 0, forestalled: 0, reply };
            live.decide(asked).map_err(|(_, error)| error)
        });
        drop(live);
        let tried = decided.map(|()| {
            self.shared.wake();
            recorded
        });
        (number, tried)
    }

    fn reveal(&self, recorded: &Recorded) -> Served {
        let opened = recorded.key.open(&self.shared.sealer);
        let (value, secrets) =
            opened.expect("what opened when it was loaded or sealed opens again");
        Served {
            key_id: Arc::clone(&recorded.key.id),
            value,
            metadata: Arc::clone(&recorded.key.metadata),
            secrets,
            draw_id: DrawId(recorded.id),
        }
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.live().now()
    }

    /// All tiers, in order of name, as memory has them ([`confirm_recent`](Engine::confirm_recent)). However many they
    /// are, draws pass between.
    #[must_use]
    pub fn tiers(&self) -> Vec<TierView> {
        let mut tiers = in_pieces(|after| self.shared.live().tier_views(after));
        tiers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        tiers
    }

    /// All consumers, in order of creation, as memory has them ([`confirm_uses`](Engine::confirm_uses)). However many they
    /// are, draws pass between.
    #[must_use]
    pub fn consumers(&self) -> Vec<ConsumerView> {
        in_pieces(|after| self.shared.live().consumer_views(after))
    }

    /// Whether new values are sealed.
    #[must_use]
    pub fn is_encrypting(&self) -> bool {
        self.shared.sealer.is_encrypting()
    }

    /// How much room the database file takes; `None` where it is no file of this machine.
    ///
    /// # Errors
    /// [`Unavailable::Store`] if that could not be found out.
    pub async fn file_figures(&self) -> Result<Option<FileFigures>, Unavailable> {
        self.shared.store.file_figures().await.map_err(|error| {
            report(&error, "the size of the database could not be found out");
            Unavailable::Store
        })
    }

    /// Closes the pool: takes no more draws and changes, records what was gathered, closes the store and gives its lock
    /// back. Closing twice is harmless.
    pub async fn close(&self) {
        self.shared.live().is_closing = true;
        self.shared.wake();
        self.shared.questions.notify_one();
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the engine ended by a panic");
            }
        }
        self.shared.store.close().await;
    }
}

/// What a refusal rests on.
const fn about(refusal: Refusal) -> About {
    match refusal {
        Refusal::UnknownCaller | Refusal::OutOfScope | Refusal::UnknownFeature => About::Pool,
        Refusal::Spent { .. } | Refusal::NoUsableKey => About::Limits,
    }
}

const fn closing() -> DrawError {
    DrawError::Unavailable(Unavailable::Closing)
}

/// What a draw answers where the caller is no longer known.
impl From<Refusal> for DrawError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
