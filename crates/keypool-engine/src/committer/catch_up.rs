//! Taking over what the database has and memory does not. Grants that the database refused come along, to be decided anew
//! within the same request.

use keypool_core::{FeatureNo, KeyNo};
use keypool_store::{Extent, Standing, StoreError};

use super::Shared;
use super::record::give_back;
use crate::freshness::{DatabaseClock, Freshness};
use crate::gathering::Gathered;
use crate::live::Refitted;
use crate::meters::CatchUp;
use crate::report;

/// Takes over the database's state before anything else is done; where it can't be read, whoever waits is refused.
pub(super) async fn recover(shared: &Shared) {
    // A whole pool may take its time over a network; whether the database answers at all shows sooner.
    let loaded = match shared.listen(shared.store.pulse()).await {
        Ok(_) => shared.load().await,
        Err(error) => Err(error),
    };
    match loaded {
        Ok(pool) => {
            tracing::info!("the pool was loaded anew and is sure again");
            shared.meters.catch_ups.add(CatchUp::Pool);
            shared.live().take_over(pool, Vec::new());
        }
        Err(error) => {
            report(&error, "the pool could not be loaded anew");
            shared.live().refuse_all();
            shared.note_commit(false);
        }
    }
}

/// Takes over what others changed in the pool and, where it is shared, what they drew. What the database `overruled` is
/// decided anew, like everything that was gathered.
pub(super) async fn catch_up(shared: &Shared, overruled: Vec<Gathered>) {
    let (revision, last_feature, drawn_since, known) = {
        let live = shared.live();
        let last_feature = FeatureNo::new(live.roster.last.feature);
        (live.revision, last_feature, live.seen.counters_since(), live.known())
    };
    let loaded = match shared.store.load_since(revision, last_feature).await {
        Ok(snapshot) if snapshot.extent == Extent::Whole => {
            let pool = shared.build(snapshot, known.begun_ms);
            shared.meters.catch_ups.add(CatchUp::Pool);
            shared.live().take_over(pool, overruled);
            return;
        }
        Ok(snapshot) if shared.store.is_shared() => {
            shared.store.recent_standing(drawn_since).await.map(|standing| (snapshot, standing))
        }
        Ok(snapshot) => Ok((snapshot, Standing::default())),
        Err(error) => Err(error),
    };
    match loaded {
        Ok((snapshot, standing)) => {
            let drawn = (&standing, known);
            shared.meters.catch_ups.add(CatchUp::Changes);
            shared.live().take_changes(snapshot, drawn, overruled, shared.opener());
        }
        Err(error) => give_up(shared, overruled, &error),
    }
}

/// Takes over what others drew of late.
pub(super) async fn catch_up_counters(shared: &Shared) {
    let (revision, drawn_since, known) = {
        let live = shared.live();
        (live.revision, live.seen.counters_since(), live.known())
    };
    match shared.store.recent_standing(drawn_since).await {
        Ok(standing) if standing.revision == revision => {
            shared.meters.catch_ups.add(CatchUp::Counters);
            shared.live().take_counters(&standing, known);
        }
        Ok(_) => shared.live().freshness = Freshness::PoolBehind,
        Err(error) => give_up(shared, Vec::new(), &error),
    }
}

/// Takes over the true counters of the grants' keys, which others have used up, and decides those draws anew that no longer
/// fit; the others keep their grants. Where that was not enough for one of them before, every key's are taken over: a
/// forecast that was wrong twice is no longer gone by.
pub(super) async fn recount(shared: &Shared, grants: Vec<Gathered>) {
    let is_second = grants.iter().any(|gathered| gathered.asked.forestalled > 0);
    let keys: Vec<KeyNo> = if is_second {
        shared.live().roster.keys.keys().copied().collect()
    } else {
        let mut keys: Vec<_> = grants.iter().map(|gathered| gathered.grant.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    };
    let standing = match shared.store.standing_of(&keys).await {
        Ok(standing) => standing,
        Err(error) => return give_up(shared, grants, &error),
    };
    if standing.revision != shared.live().revision {
        return catch_up(shared, grants).await;
    }
    shared.meters.catch_ups.add(CatchUp::Counters);
    let refitted = shared.live().refit(&standing, grants);
    if let Refitted::Unmoved(grants) = refitted {
        // By every counter they fit, and still the database does not grant them: something else is different.
        tracing::warn!("the database has another state of the pool; it is taken over");
        match shared.load().await {
            Ok(pool) => {
                shared.meters.catch_ups.add(CatchUp::Pool);
                shared.live().take_over(pool, grants);
            }
            Err(error) => give_up(shared, grants, &error),
        }
    }
}

/// A batch that is refused for its time of sending again and again is too long on its way: it is given up after a few
/// times, which counts as much as being overruled as often as it may be.
const WEIGHT_OF_LATE: u32 = 16;

/// Learns how the database's clock stands and sends the grants again: a batch was refused for its time of sending.
pub(super) async fn set_clock(shared: &Shared, grants: Vec<Gathered>) {
    let asked_ms = shared.live().steady_ms();
    match shared.store.pulse().await {
        Ok(pulse) => {
            let mut live = shared.live();
            let clock = DatabaseClock::of(pulse.now, asked_ms, live.steady_ms());
            tracing::warn!("the database's clock has moved, or a batch was too long on its way");
            live.reset_clock(clock);
            live.send_again(grants, WEIGHT_OF_LATE);
        }
        Err(error) => give_up(shared, grants, &error),
    }
}

/// Takes another replica number: this one's has been given to somebody else.
pub(super) async fn renew(shared: &Shared, grants: Vec<Gathered>) {
    let replica = match shared.store.issue_replica().await {
        Ok(replica) => replica,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "no replica number was issued");
            return give_back(shared, grants);
        }
    };
    tracing::warn!(number = replica.get(), "this replica goes on under another number");
    shared.live().replica = replica;
    shared.meters.catch_ups.add(CatchUp::Number);
    match shared.load().await {
        Ok(pool) => shared.live().take_over(pool, grants),
        Err(error) => give_up(shared, grants, &error),
    }
}

/// What is to be taken over can't be read.
fn give_up(shared: &Shared, grants: Vec<Gathered>, error: &StoreError) {
    report(error, "what the database has could not be read");
    shared.live().freshness = Freshness::Doubtful;
    give_back(shared, grants);
    shared.live().refuse_all();
}
