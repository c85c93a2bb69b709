//! The lookout: one task that looks once a second whether a guest has changed the pool in a file that is otherwise this
//! server's alone. Commits find that out by themselves; whoever is only refused or lists would not.
//!
//! What a guest has changed the committer takes over, as it does between replicas. Then the guest is told, which has
//! waited for that: from the moment that it ends its changes hold. It is also told the ids of the encryption keys here.

use std::sync::Arc;
use std::time::Duration;

use keypool_crypto::KeyId;
use keypool_store::StoreError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::committer::Shared;
use crate::report;

/// The time between two looks.
const PACE: Duration = Duration::from_secs(1);

/// Looks until the pool closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut acknowledged = None;
    let mut is_well = true;
    while !shared.live().is_closing {
        let looked = look(&shared, &mut acknowledged).await;
        if let Err(error) = &looked
            && is_well
        {
            report(error, "guests can't be looked out for; looking on");
        }
        is_well = looked.is_ok();
        // Only the end of the pool wakes it.
        let _ = timeout(PACE, shared.questions.notified()).await;
    }
}

async fn look(shared: &Shared, acknowledged: &mut Option<i64>) -> Result<(), StoreError> {
    let revision = shared.store.revision().await?;
    let (confirmation, taken_over) = oneshot::channel();
    shared.live().note_revision(revision, confirmation);
    shared.wake();
    // Where it can't be taken over, the committer has said why, and the next look asks again.
    if taken_over.await.is_ok_and(|outcome| outcome.is_ok()) && *acknowledged != Some(revision) {
        let opens = shared.sealer.key_ids().map(KeyId::as_str).collect::<Vec<_>>().join(" ");
        shared.store.acknowledge(revision, &opens).await?;
        *acknowledged = Some(revision);
    }
    Ok(())
}
