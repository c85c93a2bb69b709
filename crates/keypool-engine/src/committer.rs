//! The committer: one task that records batches of grants and makes changes, in the order in which they were asked.
//!
//! It alone writes, and it alone takes over what others wrote: between two writes of its own, so that no counter is read
//! while a grant is half recorded. While it waits for the store the next batch gathers, so the cost of a draw falls as
//! load rises. It is not any caller's future: a caller that goes away cancels nothing.

mod catch_up;
mod make;
mod note;
mod record;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keypool_core::{ConsumerNo, GrantId};
use keypool_crypto::{Fingerprinter, Sealer};
use keypool_store::{Snapshot, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::record::Granted;
use crate::Broken;
use crate::freshness::Freshness;
use crate::gathering::Gathering;
use crate::live::{Live, PendingChange, Work};
use crate::load::{self, LoadedPool};
use crate::meters::Meters;
use crate::opener::Opener;
use crate::readiness::{LastCommit, PROBE_PACE};

/// A commit that takes so long is one to a database that is far away. Then the callers of a batch are told before the next
/// one is sent, and it waits for them while they come: else they would miss it, and half of all callers would wait for two
/// round trips each time.
const FAR: Duration = Duration::from_millis(8);
/// The longest that a batch waits so.
const LONGEST_GATHERING: Duration = Duration::from_millis(5);
/// Where nobody came for so long, nobody is waited for.
const LULL: Duration = Duration::from_millis(1);

/// What callers, the committer and the watcher share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) fingerprinter: Fingerprinter,
    /// Why nothing can be recorded any more, if so.
    pub(crate) broken: watch::Sender<Option<Broken>>,
    /// How the last commit ended.
    pub(crate) commits: watch::Sender<LastCommit>,
    /// Wakes the watcher.
    pub(crate) questions: Notify,
    pub(crate) meters: Meters,
    live: Mutex<Live>,
    work: Notify,
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        (sealer, fingerprinter): (Sealer, Fingerprinter),
        live: Live,
    ) -> Self {
        let broken = watch::Sender::new(None);
        let commits = watch::Sender::new(LastCommit::of_opening(live.steady_ms()));
        let (questions, work) = (Notify::new(), Notify::new());
        let meters = Meters::default();
        Self {
            store,
            sealer,
            fingerprinter,
            broken,
            commits,
            questions,
            meters,
            live: Mutex::new(live),
            work,
        }
    }

    /// The pool. The lock is never held over an await. A panic under it is a bug; at worst it leaves a grant reserved that
    /// nobody records, which the next start forgets.
    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into stored values.
    pub(crate) fn opener(&self) -> Opener<'_> {
        Opener { sealer: &self.sealer, fingerprinter: &self.fingerprinter }
    }

    /// Tells the committer that there is something to do.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Tells that a newer version has the database now.
    pub(crate) fn outdated(&self) {
        let is_news = self.broken.send_if_modified(|broken| {
            let is_news = broken.is_none();
            broken.get_or_insert(Broken::Outdated);
            is_news
        });
        if is_news {
            tracing::error!("a newer keypooler has brought the database to its schema");
        }
    }

    fn build(&self, snapshot: Snapshot, begun_ms: i64) -> LoadedPool {
        let replica = self.live().replica;
        load::load(snapshot, replica, begun_ms, self.opener())
    }

    async fn load(&self) -> Result<LoadedPool, StoreError> {
        let begun_ms = self.live().steady_ms();
        let snapshot = self.store.load().await?;
        Ok(self.build(snapshot, begun_ms))
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
            let sent = Instant::now();
            granted = record::record(&shared, gathering, revision, granted).await;
            let took = sent.elapsed();
            if took >= FAR || !shared.live().is_awaited() {
                std::mem::take(&mut granted).tell();
            }
            if took >= FAR && shared.store.is_shared() {
                gather(&shared, (took / 2).min(LONGEST_GATHERING)).await;
            }
            continue;
        }
        std::mem::take(&mut granted).tell();
        match step {
            Step::Record(..) => {}
            Step::Recover => catch_up::recover(&shared).await,
            Step::CatchUpCounters => catch_up::catch_up_counters(&shared).await,
            Step::CatchUp => catch_up::catch_up(&shared, Vec::new()).await,
            Step::Make(change) => make::make(&shared, change).await,
            Step::Note(uses) => note::note(&shared, &uses).await,
            Step::Probe => write::probe(&shared).await,
            Step::Wait => wait(&shared).await,
            Step::End(uses) => return note::note(&shared, &uses).await,
        }
    }
}

/// Lets the callers of the last batch join those that wait already, for as long as they keep coming.
async fn gather(shared: &Shared, longest: Duration) {
    let begun = Instant::now();
    let mut waiting = shared.live().queued_draws();
    while waiting > 0 && begun.elapsed() < longest {
        tokio::time::sleep(LULL).await;
        let before = std::mem::replace(&mut waiting, shared.live().queued_draws());
        if waiting == before {
            return;
        }
    }
}

/// What the committer does next.
enum Step {
    /// Loads the pool anew: somebody waits, and memory may differ from the database.
    Recover,
    /// Takes over what others have drawn.
    CatchUpCounters,
    /// Takes over what others have changed and drawn.
    CatchUp,
    /// Writes a batch that was decided on this revision.
    Record(Gathering, i64),
    Make(PendingChange),
    /// Notes when consumers were granted a key last.
    Note(Vec<(ConsumerNo, GrantId)>),
    /// Commits something that changes nothing: somebody wants to know whether that works.
    Probe,
    Wait,
    /// Ends with such a note.
    End(Vec<(ConsumerNo, GrantId)>),
}

fn next_step(live: &mut Live) -> Step {
    match live.freshness {
        Freshness::Doubtful if live.is_awaited() => return Step::Recover,
        Freshness::CountersBehind => return Step::CatchUpCounters,
        Freshness::PoolBehind => return Step::CatchUp,
        Freshness::Doubtful | Freshness::Current => {}
    }
    if !live.is_silent && live.note_due_in() == Some(Duration::ZERO) {
        return Step::Note(live.uses.take_waiting());
    }
    match live.next_work() {
        Some(Work::Draws(gathering)) => Step::Record(gathering, live.revision),
        Some(Work::Change(change)) => Step::Make(change),
        None if live.is_closing => Step::End(live.uses.take_waiting()),
        // Memory that may be wrong is put right first.
        None if live.is_probe_wanted && live.freshness == Freshness::Doubtful => Step::Recover,
        None if live.is_probe_wanted => Step::Probe,
        None => Step::Wait,
    }
}

/// Waits until there is something to do. While the database is silent that is to ask it again.
async fn wait(shared: &Shared) {
    let work = shared.work.notified();
    let (is_silent, note_due_in) = {
        let live = shared.live();
        (live.is_silent, live.note_due_in())
    };
    match note_due_in {
        _ if is_silent => {
            let _ = tokio::time::timeout(PROBE_PACE, work).await;
            shared.live().is_probe_wanted = true;
        }
        // Whether it is due is then looked at.
        Some(due_in) => {
            let _ = tokio::time::timeout(due_in, work).await;
        }
        None => work.await,
    }
}

/// Closes the pool when the committer ends, by a panic too: whoever waits is told, nobody waits in vain.
struct LastOrders<'a>(&'a Shared);

impl Drop for LastOrders<'_> {
    fn drop(&mut self) {
        self.0.live().close_down();
        self.0.questions.notify_one();
        if std::thread::panicking() {
            tracing::error!("the committer ended by a panic: nothing can be recorded any more");
            self.0.broken.send_replace(Some(Broken::Bug));
        }
    }
}
