//! The pool as it stands in memory, and the queue before the committer. Everything here happens under one lock, within
//! microseconds, without waiting.

mod apply;
mod pending;
mod questions;
mod take_over;
mod vitals;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use keypool_core::{Access, FeatureNo, Pool, Refusal as CoreRefusal, ReplicaNo, Timestamp};
use keypool_crypto::Fingerprint;
use keypool_store::ChangeKind;
use tokio::sync::oneshot;

pub(crate) use self::pending::{PendingChange, Planned};
pub(crate) use self::questions::About;
use self::questions::Question;
pub(crate) use self::take_over::Refitted;
pub use self::vitals::Vitals;
use crate::clock::{Clock, Reading};
use crate::freshness::{DatabaseClock, Freshness, Seen};
use crate::gathering::{Asked, Gathered, Gathering};
use crate::load::LoadedPool;
use crate::opener::Opener;
use crate::roster::Roster;
use crate::timekeeper::Timekeeper;
use crate::uses::Uses;
use crate::{AdminError, Caller, DrawError, Refusal, Unavailable};

/// Draws that may wait to be recorded. Beyond that the answer is 503 at once.
const MOST_QUEUED_DRAWS: usize = 10_000;
/// Changes that may wait to be made.
const MOST_QUEUED_CHANGES: usize = 1_000;
/// Whoever may wait to hear that memory is current. Beyond that the answer is 503 at once.
const MOST_QUESTIONS: usize = 10_000;
/// How often the database may overrule one draw before it is given up. Each time another replica got on meanwhile.
const MOST_OVERRULED: u32 = 64;

/// Whom to tell that memory is what the database has.
pub(crate) type Confirmation = oneshot::Sender<Result<(), Unavailable>>;

/// What the committer does next.
pub(crate) enum Work {
    Draws(Gathering),
    Change(PendingChange),
}

/// The pool in memory.
pub(crate) struct Live {
    pub(crate) core: Pool,
    pub(crate) roster: Roster,
    pub(crate) revision: i64,
    /// The number that goes into the ids of grants.
    pub(crate) replica: ReplicaNo,
    pub(crate) is_closing: bool,
    /// Whether the database gives no answer; then nobody is let in.
    pub(crate) is_silent: bool,
    /// Whether somebody wants to know if commits succeed.
    pub(crate) is_probe_wanted: bool,
    pub(crate) freshness: Freshness,
    pub(crate) seen: Seen,
    pub(crate) uses: Uses,
    /// When something was committed last since the start.
    pub(crate) last_commit_at: Option<Timestamp>,
    clock: Clock,
    /// When the pool was opened, by the steady clock.
    opened_ms: i64,
    /// How the clock of a shared database stands; it is the one to go by.
    database_clock: Option<DatabaseClock>,
    timekeeper: Timekeeper,
    queue: VecDeque<Work>,
    queued_draws: usize,
    queued_changes: usize,
    /// Whoever wants to know whether memory is what the database has, and waits for the watcher to ask.
    questions: Vec<Question>,
    /// Whoever waits for memory to be what the database has, which the committer sees to.
    confirmations: Vec<Confirmation>,
}

impl Live {
    pub(crate) fn new(
        pool: LoadedPool,
        replica: ReplicaNo,
        clock: Clock,
        database_clock: Option<DatabaseClock>,
        timekeeper: Timekeeper,
    ) -> Self {
        let mut uses = Uses::default();
        uses.learn(&pool.uses);
        Self {
            core: pool.core,
            roster: pool.roster,
            revision: pool.revision,
            replica,
            is_closing: false,
            is_silent: false,
            is_probe_wanted: false,
            freshness: Freshness::Current,
            seen: Seen { counters: pool.latest_grant, ..Seen::default() },
            uses,
            last_commit_at: None,
            opened_ms: clock.read().steady_ms,
            clock,
            database_clock,
            timekeeper,
            queue: VecDeque::new(),
            queued_draws: 0,
            queued_changes: 0,
            questions: Vec::new(),
            confirmations: Vec::new(),
        }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        let reading = self.read_clocks();
        self.timekeeper.now(reading)
    }

    /// The clocks; a shared database's stands for the wall clock.
    fn read_clocks(&self) -> Reading {
        let reading = self.clock.read();
        match self.database_clock {
            Some(clock) => Reading { wall: clock.at(reading.steady_ms), ..reading },
            None => reading,
        }
    }

    pub(crate) fn steady_ms(&self) -> i64 {
        self.clock.read().steady_ms
    }

    /// In what time last grants are to be noted; `None` where none waits for that.
    pub(crate) fn note_due_in(&self) -> Option<Duration> {
        let due_in_ms = self.uses.due_at_ms()?.saturating_sub(self.steady_ms());
        Some(Duration::from_millis(u64::try_from(due_in_ms).unwrap_or(0)))
    }

    /// When a batch is sent that is sent now, by the database's clock; `None` where it judges no such thing.
    pub(crate) fn sending_time(&self) -> Option<Timestamp> {
        self.database_clock.map(|_| self.read_clocks().wall)
    }

    /// Draws that wait to be recorded.
    pub(crate) fn queued_draws(&self) -> usize {
        self.queued_draws
    }

    /// Whether one more draw may be asked.
    pub(crate) fn admit_draw(&self) -> Result<(), Unavailable> {
        match self.queued_draws {
            _ if self.is_closing => Err(Unavailable::Closing),
            _ if self.is_silent => Err(Unavailable::Store),
            queued if queued >= MOST_QUEUED_DRAWS => Err(Unavailable::Overloaded),
            _ => Ok(()),
        }
    }

    /// Lets core decide; a grant joins the batch that is being gathered, a refusal is given back with the question.
    pub(crate) fn decide(&mut self, asked: Asked) -> Result<(), (Asked, DrawError)> {
        if asked.overruled > MOST_OVERRULED {
            return Err((asked, DrawError::Unavailable(Unavailable::Overloaded)));
        }
        let now = self.now();
        let access = match access(&self.roster, asked.caller, now) {
            Ok(access) => access,
            Err(refusal) => return Err((asked, DrawError::Refused(refusal))),
        };
        let grant = match self.core.draw(access, asked.feature, now) {
            Ok(grant) => grant,
            Err(refusal) => {
                let refusal = refusal_for(asked.caller, refusal, now);
                return Err((asked, DrawError::Refused(refusal)));
            }
        };
        let key =
            self.roster.keys.get(&grant.key()).expect("core grants only keys that the roster has");
        let key = Arc::clone(&key.sealed);
        self.gather(Gathered { asked, grant, key });
        Ok(())
    }

    /// The feature that was asked for, or the refusal that this caller gets for a name that no tier ever had.
    pub(crate) fn named(
        &mut self,
        caller: Caller,
        feature: Option<FeatureNo>,
    ) -> Result<FeatureNo, Refusal> {
        if let Some(feature) = feature {
            return Ok(feature);
        }
        let now = self.now();
        access(&self.roster, caller, now)?;
        Err(not_covered(caller))
    }

    fn gather(&mut self, gathered: Gathered) {
        self.queued_draws += 1;
        let rejected = match self.queue.back_mut() {
            Some(Work::Draws(gathering)) => gathering.try_add(gathered),
            Some(Work::Change(_)) | None => Err(gathered),
        };
        if let Err(gathered) = rejected {
            let mut gathering = Gathering::default();
            gathering.try_add(gathered).expect("an empty batch takes any grant");
            self.queue.push_back(Work::Draws(gathering));
        }
    }

    /// Puts a change behind everything that was asked before it.
    pub(crate) fn enqueue(&mut self, change: PendingChange) {
        let refusal = match self.queued_changes {
            _ if self.is_closing => Some(Unavailable::Closing),
            _ if self.is_silent => Some(Unavailable::Store),
            queued if queued >= MOST_QUEUED_CHANGES => Some(Unavailable::Overloaded),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return (change.done)(Err(AdminError::Unavailable(refusal)));
        }
        self.queued_changes += 1;
        self.queue.push_back(Work::Change(change));
    }

    /// Answers everybody who waits that the store is unavailable, and gives back what their grants hold.
    pub(crate) fn refuse_all(&mut self) {
        for asked in self.withdraw() {
            let _ = asked.reply.send(Err(DrawError::Unavailable(Unavailable::Store)));
        }
        while let Some(Work::Change(change)) = self.next_work() {
            (change.done)(Err(Unavailable::Store.into()));
        }
        self.confirm(&Err(Unavailable::Store));
    }

    pub(crate) fn next_work(&mut self) -> Option<Work> {
        let work = self.queue.pop_front();
        match &work {
            Some(Work::Draws(gathering)) => self.queued_draws -= gathering.len(),
            Some(Work::Change(_)) => self.queued_changes -= 1,
            None => {}
        }
        work
    }

    /// Takes no more questions, and drops those that wait: they are answered as closed.
    pub(crate) fn close_down(&mut self) {
        self.is_closing = true;
        self.queue.clear();
        self.questions.clear();
        self.confirmations.clear();
    }

    /// Applies to memory what the database has committed, and decides anew what was gathered on the old state.
    pub(crate) fn apply(
        &mut self,
        change: ChangeKind,
        fingerprints: &[Fingerprint],
        at: Timestamp,
        opener: Opener<'_>,
    ) {
        self.revision += 1;
        self.last_commit_at = self.last_commit_at.max(Some(at));
        let waiting = self.withdraw();
        self.apply_to_memory(change, fingerprints, at, opener);
        self.decide_anew(waiting, Turn::Draws);
    }

    /// Gives back the limits that grants hold.
    pub(crate) fn release(&mut self, grants: Vec<Gathered>) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::with_capacity(grants.len());
        for gathered in grants.into_iter().rev() {
            self.core.release(gathered.grant);
            asked.push(gathered.asked);
        }
        asked.reverse();
        asked
    }

    /// Takes every gathered draw out of the queue and gives back the limits that it holds.
    fn withdraw(&mut self) -> Vec<Asked> {
        let mut grants = Vec::with_capacity(self.queued_draws);
        let mut changes = VecDeque::new();
        for work in std::mem::take(&mut self.queue) {
            match work {
                Work::Draws(gathering) => grants.extend(gathering.into_grants()),
                Work::Change(change) => changes.push_back(Work::Change(change)),
            }
        }
        self.queue = changes;
        self.queued_draws = 0;
        self.release(grants)
    }

    /// Decides withdrawn draws on today's state; they go behind what is sent again and before the changes that wait, but
    /// for the one whose turn it is.
    fn decide_anew(&mut self, waiting: Vec<Asked>, turn: Turn) {
        let queue = std::mem::take(&mut self.queue);
        let (again, mut changes): (VecDeque<_>, VecDeque<_>) =
            queue.into_iter().partition(|work| matches!(work, Work::Draws(_)));
        self.queue = again;
        if turn == Turn::OneChange {
            self.queue.extend(changes.pop_front());
        }
        for asked in waiting {
            if let Err((asked, error)) = self.decide(asked) {
                // Whoever asked may be gone; then nobody is to be told.
                let _ = asked.reply.send(Err(error));
            }
        }
        self.queue.extend(changes);
    }
}

/// What goes before draws that are decided anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing: a change was just made.
    Draws,
    /// The change that waits longest: what is taken over again and again must not keep it waiting.
    OneChange,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("revision", &self.revision)
            .field("keys", &self.roster.keys.len())
            .field("queued_draws", &self.queued_draws)
            .finish_non_exhaustive()
    }
}

fn access(roster: &Roster, caller: Caller, now: Timestamp) -> Result<Access<'_>, Refusal> {
    match caller {
        Caller::Admin => Ok(Access::All),
        Caller::Consumer { number, token } => {
            let consumer = roster.consumer_accepting(number, token, now);
            consumer.map(|consumer| Access::Tiers(&consumer.scopes)).ok_or(Refusal::UnknownCaller)
        }
    }
}

const fn not_covered(caller: Caller) -> Refusal {
    match caller {
        Caller::Admin => Refusal::UnknownFeature,
        Caller::Consumer { .. } => Refusal::OutOfScope,
    }
}

fn refusal_for(caller: Caller, refusal: CoreRefusal, now: Timestamp) -> Refusal {
    match refusal {
        CoreRefusal::NotCovered => not_covered(caller),
        CoreRefusal::NoUsableKey => Refusal::NoUsableKey,
        CoreRefusal::Spent { limit, until } => {
            let ahead_ms = until.as_millis().saturating_sub(now.as_millis());
            let retry_after = Duration::from_millis(u64::try_from(ahead_ms).unwrap_or(0));
            Refusal::Spent { limit, retry_after }
        }
    }
}
