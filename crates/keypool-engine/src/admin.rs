//! Changes by an admin: what is asked for is checked whole, planned on the pool as it stands when its turn comes,
//! committed, applied to memory and answered, all in the committer's order.

mod consumers;
mod key_patch;
mod keys;
mod shown;
mod tiers;
mod tokens;

use keypool_core::{ConsumerNo, KeyNo, TierNo};
use keypool_store::Origin;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::live::{Live, PendingChange, Planned};
use crate::{AdminError, Engine, Unavailable};

pub use consumers::{ConsumerPatch, NewConsumer};
pub use key_patch::KeyPatch;
pub use keys::NewKey;
pub use tiers::{FeatureLimit, NewTier, TierPatch};

impl Engine {
    /// Queues a change behind everything that was asked before it, and waits until it was made or refused.
    async fn change<T: Send + 'static>(
        &self,
        origin: &Origin,
        plan: impl Fn(&Live) -> Result<Planned, AdminError> + Send + 'static,
        view: impl FnOnce(&Live) -> T + Send + 'static,
    ) -> Result<T, AdminError> {
        let (reply, made) = oneshot::channel();
        let done = move |outcome: Result<&Live, AdminError>| {
            // Whoever asked may be gone; the change was made all the same.
            let _ = reply.send(outcome.map(view));
        };
        let (origin, plan, done) = (origin.clone(), Box::new(plan), Box::new(done));
        self.shared.live().enqueue(PendingChange { origin, plan, done });
        self.shared.wake();
        made.await.unwrap_or(Err(AdminError::Unavailable(Unavailable::Closing)))
    }
}

fn find_tier(live: &Live, name: &str) -> Result<TierNo, AdminError> {
    live.roster.tier_named(name).ok_or_else(|| unknown("tier", name))
}

fn find_tier_with_id(live: &Live, id: &str) -> Result<TierNo, AdminError> {
    live.roster.tier_with_id(id).ok_or_else(|| unknown("tier with the id", id))
}

/// A tier by its name, or by its id where no tier bears it as a name.
fn find_tier_or_id(live: &Live, name: &str) -> Result<TierNo, AdminError> {
    live.roster.tier_named_or_with_id(name).ok_or_else(|| unknown("tier", name))
}

fn find_key(live: &Live, id: &str) -> Result<KeyNo, AdminError> {
    live.roster.key_with_id(id).ok_or_else(|| unknown("key", id))
}

fn find_consumer(live: &Live, id: &str) -> Result<ConsumerNo, AdminError> {
    live.roster.consumer_with_id(id).ok_or_else(|| unknown("consumer", id))
}

fn unknown(what: &'static str, name: &str) -> AdminError {
    AdminError::Unknown { what, name: name.to_owned() }
}

/// A fresh UUID of version 7. Its time part is the random generator's wall clock and means nothing here.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}
