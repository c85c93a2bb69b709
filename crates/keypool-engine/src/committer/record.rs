//! A batch of draws on its way: written, and what becomes of its grants by what the database says.

use std::collections::HashSet;

use keypool_core::GrantId;
use keypool_store::WriteError;
use tokio::time::Instant;

use super::Shared;
use super::catch_up::{catch_up, recount, renew, set_clock};
use crate::freshness::Freshness;
use crate::gathering::{DrawReply, Gathered, Gathering, Recorded};
use crate::meters::DrawOutcome;
use crate::{DrawError, Unavailable, report};

/// Grants that are on record and whose callers are still to be told.
#[derive(Default)]
pub(super) struct Granted(Vec<(DrawReply, Recorded)>);

impl Granted {
    pub(super) fn tell(self) {
        for (reply, recorded) in self.0 {
            // Whoever asked may be gone; the grant stays charged, as it is on record.
            let _ = reply.send(Ok(recorded));
        }
    }
}

/// Writes a batch; meanwhile the callers of the batch before it are told. Returns those whose grants are now on record.
pub(super) async fn record(
    shared: &Shared,
    gathering: Gathering,
    revision: i64,
    granted: Granted,
) -> Granted {
    let batch = gathering.to_batch(revision, shared.live().sending_time());
    let commit = async {
        let sent = Instant::now();
        let outcome = shared.write(shared.store.commit_draws(&batch)).await;
        shared.meters.batches.add(&outcome, sent.elapsed());
        outcome
    };
    let (outcome, ()) = tokio::join!(biased; commit, async { granted.tell() });
    let grants = gathering.into_grants();
    shared.meters.batch_sizes.add(grants.len() as u64);
    match outcome {
        Ok(()) => return settle(shared, grants),
        Err(WriteError::Stale) => catch_up(shared, grants).await,
        Err(WriteError::Spent) => recount(shared, grants).await,
        Err(WriteError::Clock) => set_clock(shared, grants).await,
        Err(WriteError::Fenced) => renew(shared, grants).await,
        Err(WriteError::Partly(recorded)) => return settle_some(shared, grants, &recorded).await,
        Err(WriteError::Upgraded) => {
            shared.outdated();
            give_back(shared, grants);
        }
        Err(WriteError::Failed(error)) => {
            report(&error, "a batch of draws could not be recorded");
            give_back(shared, grants);
        }
        Err(WriteError::InDoubt(error)) => {
            report(&error, "it is not known whether a batch of draws was recorded");
            doubt(shared, grants);
        }
    }
    Granted::default()
}

/// The grants are on record: they count.
fn settle(shared: &Shared, grants: Vec<Gathered>) -> Granted {
    let mut live = shared.live();
    let now_ms = live.steady_ms();
    live.last_commit_at = Some(live.now());
    let settled = grants.into_iter().map(|gathered| {
        shared.meters.draws_of(Some(gathered.grant.feature())).add(DrawOutcome::Granted);
        let recorded = Recorded { id: gathered.grant.id(), key: gathered.key };
        live.uses.granted(gathered.asked.caller.number(), recorded.id, now_ms);
        live.core.commit(gathered.grant);
        (gathered.asked.reply, recorded)
    });
    Granted(settled.collect())
}

/// Some of the grants are on record, by an earlier try of theirs; the others are decided anew.
async fn settle_some(shared: &Shared, grants: Vec<Gathered>, recorded: &[GrantId]) -> Granted {
    let recorded: HashSet<GrantId> = recorded.iter().copied().collect();
    let (on_record, others) =
        grants.into_iter().partition(|gathered| recorded.contains(&gathered.grant.id()));
    let granted = settle(shared, on_record);
    catch_up(shared, others).await;
    granted
}

/// Nothing was recorded: the limits go back, callers get a 503.
pub(super) fn give_back(shared: &Shared, grants: Vec<Gathered>) {
    let asked = shared.live().release(grants);
    for asked in asked {
        let _ = asked.reply.send(Err(DrawError::Unavailable(Unavailable::Store)));
    }
}

/// It may have been recorded: nothing is revealed, and the charge stands as the database has it. Until that is known the
/// grants keep their limits reserved.
fn doubt(shared: &Shared, grants: Vec<Gathered>) {
    shared.live().freshness = Freshness::Doubtful;
    for gathered in grants {
        let _ = gathered.asked.reply.send(Err(DrawError::Unavailable(Unavailable::InDoubt)));
    }
}
