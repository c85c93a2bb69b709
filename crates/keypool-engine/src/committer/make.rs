//! A change by an admin on its way: planned on the pool as it stands, committed, applied to memory, answered.

use keypool_store::{Change, WriteError};
use tokio::time::Instant;

use super::Shared;
use super::catch_up::{catch_up, renew};
use crate::freshness::Freshness;
use crate::live::PendingChange;
use crate::{AdminError, Unavailable, report};

/// How often a change is planned anew because another writer came first.
const MOST_PLANS: u32 = 64;

pub(super) async fn make(shared: &Shared, change: PendingChange) {
    for _ in 0..MOST_PLANS {
        let (base, at, planned) = {
            let mut live = shared.live();
            (live.revision, live.now(), (change.plan)(&live))
        };
        let planned = match planned {
            Ok(planned) => planned,
            Err(error) => match is_current(shared).await {
                Ok(true) => return (change.done)(Err(error)),
                Ok(false) => continue,
                Err(unavailable) => return (change.done)(Err(unavailable.into())),
            },
        };
        let origin = change.origin.clone();
        let made = Change { base, at, origin, what: planned.what, records: planned.records };
        let sent = Instant::now();
        let outcome = shared.write(shared.store.change(&made)).await;
        shared.meters.changes.add(&outcome, sent.elapsed());
        match outcome {
            Ok(()) => {
                shared.meters.changed(&made.records);
                let mut live = shared.live();
                live.apply(made.what, &planned.fingerprints, at, shared.opener());
                return (change.done)(Ok(&live));
            }
            Err(WriteError::Fenced) => renew(shared, Vec::new()).await,
            Err(WriteError::Upgraded) => {
                shared.outdated();
                return (change.done)(Err(Unavailable::Store.into()));
            }
            Err(
                WriteError::Stale | WriteError::Spent | WriteError::Clock | WriteError::Partly(_),
            ) => catch_up(shared, Vec::new()).await,
            Err(WriteError::Failed(error)) => {
                report(&error, "a change could not be made");
                return (change.done)(Err(Unavailable::Store.into()));
            }
            Err(WriteError::InDoubt(error)) => {
                report(&error, "it is not known whether a change was made");
                shared.live().freshness = Freshness::Doubtful;
                return (change.done)(Err(Unavailable::InDoubt.into()));
            }
        }
        if shared.live().freshness == Freshness::Doubtful {
            return (change.done)(Err(Unavailable::Store.into()));
        }
    }
    (change.done)(Err(AdminError::Unavailable(Unavailable::Overloaded)));
}

/// Whether a refusal of the plan holds: on a shared database it is asked first, and what others changed is taken over.
async fn is_current(shared: &Shared) -> Result<bool, Unavailable> {
    if !shared.store.is_shared() {
        return Ok(true);
    }
    let known = shared.live().revision;
    let found = shared.store.revision().await.map_err(|error| {
        report(&error, "the database could not be asked how it stands");
        Unavailable::Store
    })?;
    if found == known {
        return Ok(true);
    }
    catch_up(shared, Vec::new()).await;
    let is_sure = shared.live().freshness != Freshness::Doubtful;
    if is_sure { Ok(false) } else { Err(Unavailable::Store) }
}
