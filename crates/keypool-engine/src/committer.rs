//! The committer: one task that records batches of grants and makes changes, in the order in which they were asked.
//!
//! It alone writes. While it waits for the store the next batch gathers, so the cost of a draw falls as load rises. It is
//! not any caller's future: a caller that goes away cancels nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keypool_core::ReplicaNo;
use keypool_crypto::Sealer;
use keypool_store::{Change, Store, StoreError, WriteError};
use tokio::sync::{Notify, watch};

use crate::gathering::{DrawReply, Gathered, Gathering, Recorded};
use crate::live::{Live, PendingChange, Work};
use crate::load::{self, LoadedPool};
use crate::{AdminError, DrawError, Unavailable};

/// How often a change is planned anew because another writer came first.
const MOST_PLANS: u32 = 8;

/// What callers and the committer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) replica: ReplicaNo,
    /// Whether the committer ended by a panic.
    pub(crate) broken: watch::Sender<bool>,
    live: Mutex<Live>,
    work: Notify,
}

impl Shared {
    pub(crate) fn new(store: Store, sealer: Sealer, replica: ReplicaNo, live: Live) -> Self {
        let broken = watch::Sender::new(false);
        Self { store, sealer, replica, broken, live: Mutex::new(live), work: Notify::new() }
    }

    /// The pool. The lock is never held over an await. A panic under it is a bug; at worst it leaves a grant reserved that
    /// nobody records, which the next start forgets.
    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the committer that there is something to do.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    async fn load(&self) -> Result<LoadedPool, StoreError> {
        let snapshot = self.store.load().await?;
        Ok(load::load(snapshot, self.replica, &self.sealer))
    }
}

/// Works until the pool closes and nothing is left to be done.
pub(crate) async fn run(shared: Arc<Shared>) {
    let _last_orders = LastOrders(&shared);
    let mut granted = Granted::default();
    loop {
        // Whoever is about to ask does so before the batch is closed. Where nobody is, this is over at once.
        tokio::task::yield_now().await;
        let step = next_step(&mut shared.live());
        if let Step::Record(gathering, revision) = step {
            granted = record(&shared, gathering, revision, granted).await;
            if !shared.live().is_awaited() {
                std::mem::take(&mut granted).tell();
            }
            continue;
        }
        std::mem::take(&mut granted).tell();
        match step {
            Step::Record(..) => {}
            Step::Recover => recover(&shared).await,
            Step::Make(change) => make(&shared, change).await,
            Step::Wait => shared.work.notified().await,
            Step::End => return,
        }
    }
}

/// What the committer does next.
enum Step {
    /// Loads the pool anew: somebody waits, and memory may differ from the database.
    Recover,
    /// Writes a batch that was decided on this revision.
    Record(Gathering, i64),
    Make(PendingChange),
    Wait,
    End,
}

fn next_step(live: &mut Live) -> Step {
    if live.is_doubtful && live.is_awaited() {
        return Step::Recover;
    }
    match live.next_work() {
        Some(Work::Draws(gathering)) => Step::Record(gathering, live.revision),
        Some(Work::Change(change)) => Step::Make(change),
        None if live.is_closing => Step::End,
        None => Step::Wait,
    }
}

/// Grants that are on record and whose callers are still to be told.
#[derive(Default)]
struct Granted(Vec<(DrawReply, Recorded)>);

impl Granted {
    fn tell(self) {
        for (reply, recorded) in self.0 {
            // Whoever asked may be gone; the grant stays charged, as it is on record.
            let _ = reply.send(Ok(recorded));
        }
    }
}

/// Closes the pool when the committer ends, by a panic too: whoever waits is told, nobody waits in vain.
struct LastOrders<'a>(&'a Shared);

impl Drop for LastOrders<'_> {
    fn drop(&mut self) {
        self.0.live().close_down();
        if std::thread::panicking() {
            tracing::error!("the committer ended by a panic: nothing can be recorded any more");
            self.0.broken.send_replace(true);
        }
    }
}

/// Takes over the database's state before anything else is done; where it can't be read, whoever waits is refused.
async fn recover(shared: &Shared) {
    match shared.load().await {
        Ok(pool) => {
            tracing::info!("the pool was loaded anew and is sure again");
            shared.live().take_over(pool, Vec::new());
        }
        Err(error) => {
            report(&error, "the pool could not be loaded anew");
            shared.live().refuse_all();
        }
    }
}

/// Writes a batch; meanwhile the callers of the batch before it are told. Returns those whose grants are now on record.
async fn record(shared: &Shared, gathering: Gathering, revision: i64, granted: Granted) -> Granted {
    let batch = gathering.to_batch(revision);
    let (outcome, ()) =
        tokio::join!(biased; shared.store.commit_draws(&batch), async { granted.tell() });
    let grants = gathering.into_grants();
    match outcome {
        Ok(()) => return settle(shared, grants),
        Err(WriteError::Stale | WriteError::Spent) => take_over(shared, grants).await,
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
    let settled = grants.into_iter().map(|gathered| {
        let recorded = Recorded { id: gathered.grant.id(), key: gathered.key };
        live.core.commit(gathered.grant);
        (gathered.asked.reply, recorded)
    });
    Granted(settled.collect())
}

/// The database knows better: its state is taken over and the draws are decided anew.
async fn take_over(shared: &Shared, grants: Vec<Gathered>) {
    tracing::warn!(
        draws = grants.len(),
        "the database has another state of the pool; it is taken over"
    );
    match shared.load().await {
        Ok(pool) => shared.live().take_over(pool, grants),
        Err(error) => {
            report(&error, "the pool could not be loaded anew");
            shared.live().is_doubtful = true;
            give_back(shared, grants);
        }
    }
}

/// Nothing was recorded: the limits go back, callers get a 503.
fn give_back(shared: &Shared, grants: Vec<Gathered>) {
    let asked = shared.live().release(grants);
    for asked in asked {
        let _ = asked.reply.send(Err(DrawError::Unavailable(Unavailable::Store)));
    }
}

/// It may have been recorded: nothing is revealed, and the charge stands as the database has it. Until that is known the
/// grants keep their limits reserved.
fn doubt(shared: &Shared, grants: Vec<Gathered>) {
    shared.live().is_doubtful = true;
    for gathered in grants {
        let _ = gathered.asked.reply.send(Err(DrawError::Unavailable(Unavailable::InDoubt)));
    }
}

async fn make(shared: &Shared, change: PendingChange) {
    for _ in 0..MOST_PLANS {
        let (base, at, planned) = {
            let mut live = shared.live();
            (live.revision, live.now(), (change.plan)(&live))
        };
        let what = match planned {
            Ok(what) => what,
            Err(error) => return (change.done)(Err(error)),
        };
        let planned = Change { base, at, what };
        match shared.store.change(&planned).await {
            Ok(()) => {
                let mut live = shared.live();
                live.apply(planned.what, at);
                return (change.done)(Ok(&live));
            }
            Err(WriteError::Stale | WriteError::Spent) => match shared.load().await {
                Ok(pool) => shared.live().take_over(pool, Vec::new()),
                Err(error) => {
                    report(&error, "the pool could not be loaded anew");
                    shared.live().is_doubtful = true;
                    return (change.done)(Err(Unavailable::Store.into()));
                }
            },
            Err(WriteError::Failed(error)) => {
                report(&error, "a change could not be made");
                return (change.done)(Err(Unavailable::Store.into()));
            }
            Err(WriteError::InDoubt(error)) => {
                report(&error, "it is not known whether a change was made");
                shared.live().is_doubtful = true;
                return (change.done)(Err(Unavailable::InDoubt.into()));
            }
        }
    }
    (change.done)(Err(AdminError::Unavailable(Unavailable::Overloaded)));
}

fn report(error: &StoreError, what: &'static str) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "{what}");
}
