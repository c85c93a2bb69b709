//! The open store: what the engine asks of the database, and what an error of a write is taken to mean.

mod doubt;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keypool_core::{ConsumerNo, FeatureNo, GrantId, KeyNo, ReplicaNo};
use uuid::Uuid;

use self::doubt::Fence;
use crate::change::Change;
use crate::counters::{CounterMismatch, list_mismatches};
use crate::draws::{DrawBatch, Order, Sender, draw_statement};
use crate::driver::{Driver, DriverError, Host, Row, Statement};
use crate::error::{StoreError, WriteError};
use crate::figures::{FileFigures, read_file_figures};
use crate::migrate::NEWEST;
use crate::pulse::{Pulse, read_pulse};
use crate::record::{ChangeRow, ChangesQuery, list_changes};
use crate::snapshot::{Snapshot, load_since, load_snapshot};
use crate::standing::{Standing, recent_standing, standing_of};
use crate::usage::scans::Scans;
use crate::usage::summary::{Summary, SummaryQuery, summarise};
use crate::usage::{UsageQuery, UsageRow, list_usage};
use crate::uses::{self, list_uses};

/// An open database. Clones share it; a SQLite file stays locked until [`close`](Store::close), or until the last clone
/// is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) driver: Arc<Driver>,
    scans: Arc<Scans>,
    clock_leeway: Option<Duration>,
    /// As whom it writes; nobody until a replica number is issued.
    sender: Arc<Mutex<Option<Sender>>>,
}

/// How many replica numbers there are: 10 bits of a grant's id.
const REPLICAS: i64 = 1024;

/// The rule of the schema that an event is newer than the one before it of the same key.
const EVENTS_IN_ORDER: &str = "events_in_order";

impl Store {
    pub(crate) fn new(driver: Driver, clock_leeway: Option<Duration>) -> Store {
        let (driver, scans) = (Arc::new(driver), Arc::new(Scans::new()));
        Store { driver, scans, clock_leeway, sender: Arc::default() }
    }

    /// Whether others may write to the same database at any time, so that what was read of it may be old.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.driver.is_shared()
    }

    /// How long a write may wait for another process or for an answer before it counts as failed; one whose answer was
    /// lost is then looked for, which takes further such times.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.driver.deadline()
    }

    /// What kind of database it is: `sqlite` or `libsql`.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.driver.name()
    }

    /// The version of its schema.
    #[must_use]
    pub fn schema_version(&self) -> i64 {
        NEWEST
    }

    /// How much room the database file takes; `None` where it is no file of this machine.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn file_figures(&self) -> Result<Option<FileFigures>, StoreError> {
        read_file_figures(&self.driver).await.map_err(StoreError::Read)
    }

    /// Everything that a pool is loaded from, as of one moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn load(&self) -> Result<Snapshot, StoreError> {
        load_snapshot(&self.driver).await.map_err(StoreError::Read)
    }

    /// What was changed after `revision`, as of one moment; the whole pool where that is not known. Features are those
    /// after the last one that is known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn load_since(
        &self,
        revision: i64,
        last_feature: FeatureNo,
    ) -> Result<Snapshot, StoreError> {
        load_since(&self.driver, revision, last_feature).await.map_err(StoreError::Read)
    }

    /// The true counters of these keys.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn standing_of(&self, keys: &[KeyNo]) -> Result<Standing, StoreError> {
        standing_of(&self.driver, keys).await.map_err(StoreError::Read)
    }

    /// The true counters of the keys that served events after `since`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn recent_standing(&self, since: GrantId) -> Result<Standing, StoreError> {
        recent_standing(&self.driver, since).await.map_err(StoreError::Read)
    }

    /// The number of the key with this UUID, be it deleted or not; `None` if there never was one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn key_number(&self, id: &str) -> Result<Option<KeyNo>, StoreError> {
        let look = Statement::new("SELECT key_no FROM keys WHERE key_uuid = ?1").with(id);
        let mut rows = self.driver.read(look).await.map_err(StoreError::Read)?;
        let number = rows.first_mut().map(|row| row.int()).transpose();
        number.map(|number| number.map(KeyNo::new)).map_err(StoreError::Read)
    }

    /// Where the database is, in a few numbers.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pulse(&self) -> Result<Pulse, StoreError> {
        read_pulse(&self.driver).await.map_err(StoreError::Read)
    }

    /// Issues the next replica number, the first again after the last; whoever had it before can write no more. From now
    /// on this store writes under that number.
    ///
    /// # Errors
    /// The number could not be put on record.
    pub async fn issue_replica(&self) -> Result<ReplicaNo, WriteError> {
        let fence = new_fence();
        loop {
            let last = self.number("SELECT last_replica FROM pool").await;
            let replica = (last.map_err(WriteError::Failed)? + 1).rem_euclid(REPLICAS);
            // Where another replica was quicker, no row is touched.
            let issue = Statement::new(
                "UPDATE pool SET last_replica = ?1 WHERE last_replica = (?1 + 1023) % 1024",
            );
            let seat = Statement::new(
                "INSERT INTO replicas (replica_no, fence) VALUES (?1, ?2)
                ON CONFLICT (replica_no) DO UPDATE SET fence = excluded.fence",
            );
            let write =
                vec![issue.with(replica).touching(1), seat.with(replica).with(fence).touching(1)];
            match self.driver.write(write).await {
                Ok(()) => {
                    self.write_as(Sender { replica, fence });
                    let number = u16::try_from(replica).ok().and_then(ReplicaNo::new);
                    return Ok(number.expect("a number below 1024 is a replica's"));
                }
                Err(DriverError::Touched { .. }) => {}
                // A number that was issued to nobody is only skipped.
                Err(error) => return Err(WriteError::Failed(StoreError::Write(error))),
            }
        }
    }

    /// Puts a batch of draws on record: events, rate counters and budget counters, all or nothing, in one statement.
    ///
    /// A batch whose answer is lost is looked for, and sent once more if it did not arrive.
    ///
    /// # Errors
    /// [`WriteError::Stale`], [`WriteError::Spent`], [`WriteError::Clock`], [`WriteError::Fenced`] and
    /// [`WriteError::Upgraded`] are the database's verdicts; [`WriteError::Partly`] says which of its grants are on record
    /// from an earlier try; otherwise the commit is known to have failed, or it cannot be known.
    pub async fn commit_draws(&self, batch: &DrawBatch) -> Result<(), WriteError> {
        match self.try_draws(batch).await {
            Err(Attempt::Lost(_)) => self.try_draws(batch).await.map_err(Attempt::into_error),
            outcome => outcome.map_err(Attempt::into_error),
        }
    }

    async fn try_draws(&self, batch: &DrawBatch) -> Result<(), Attempt> {
        let mut outcome = self.write_draws(batch, self.usual_order()).await?;
        if matches!(&outcome, Err(DriverError::Forbidden(rule)) if rule.contains(EVENTS_IN_ORDER)) {
            outcome = self.write_draws(batch, Order::Anywhere).await?;
        }
        match outcome {
            Ok(()) => Ok(()),
            Err(DriverError::Raised(verdict)) if verdict == "keypooler: repeated" => {
                self.look_for_draws(batch, DriverError::Raised(verdict)).await
            }
            Err(error) => match verdict(&error) {
                Some(verdict) => Err(Attempt::Ended(verdict)),
                None if error.leaves_doubt() => self.look_for_draws(batch, error).await,
                None => Err(Attempt::Ended(failed(error))),
            },
        }
    }

    /// Commits something that reaches the disk as any commit does, grows nothing and means nothing to anybody: this
    /// writer's fence becomes another one.
    ///
    /// # Errors
    /// [`WriteError::Fenced`] if nobody has this writer's number any more, or somebody else; otherwise it is known to have
    /// failed, or cannot be known.
    pub async fn probe(&self) -> Result<(), WriteError> {
        match self.raise_fence().await {
            Ok(Fence::Raised) => Ok(()),
            Ok(Fence::Lost) => Err(WriteError::Fenced),
            Err(error) if error.leaves_doubt() => {
                Err(WriteError::InDoubt(StoreError::Write(error)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Applies an admin change and raises the revision by one, all or nothing. One whose answer is lost is looked for, and
    /// sent once more if it did not arrive.
    ///
    /// # Errors
    /// [`WriteError::Stale`] if the revision is not the one that the change was decided on, [`WriteError::Fenced`] and
    /// [`WriteError::Upgraded`] as for draws; otherwise the change is known to have failed, or it cannot be known.
    pub async fn change(&self, change: &Change) -> Result<(), WriteError> {
        self.raise_revision(change.base, |id, sender| change.statements(id, sender)).await
    }

    /// Makes a write that raises the revision from `base` first, under an id by which it is found.
    pub(crate) async fn raise_revision(
        &self,
        base: i64,
        write: impl Fn(&str, Option<Sender>) -> Vec<Statement>,
    ) -> Result<(), WriteError> {
        let id = Uuid::now_v7().to_string();
        match self.try_raise(base, &id, write(&id, self.sender())).await {
            Err(Attempt::Lost(_)) => {
                let again = self.try_raise(base, &id, write(&id, self.sender())).await;
                again.map_err(Attempt::into_error)
            }
            outcome => outcome.map_err(Attempt::into_error),
        }
    }

    async fn try_raise(&self, base: i64, id: &str, write: Vec<Statement>) -> Result<(), Attempt> {
        match self.driver.write(write).await {
            Ok(()) => Ok(()),
            Err(DriverError::Touched { statement: 0, .. }) => {
                self.explain_untouched(base, id).await
            }
            Err(error) if error.leaves_doubt() => self.look_for_change(base, id, error).await,
            Err(error) => Err(Attempt::Ended(failed(error))),
        }
    }

    /// Tells guests that everything up to this revision is taken over, and a remark in one line, the same each time.
    ///
    /// # Errors
    /// It could not be told.
    pub async fn acknowledge(&self, revision: i64, remark: &str) -> Result<(), StoreError> {
        self.driver.acknowledge(revision, remark.to_owned()).await.map_err(StoreError::Write)
    }

    /// For a guest: what whoever serves the same file tells.
    ///
    /// # Errors
    /// It can't be seen.
    pub fn host(&self) -> Result<Host, StoreError> {
        self.driver.host().map_err(StoreError::Read)
    }

    /// The pool's revision: a number that every admin change raises.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        self.number("SELECT revision FROM pool").await
    }

    /// Usage events, newest first.
    ///
    /// # Errors
    /// The database cannot be read, or the search would be a long one and too many are under way.
    pub async fn list_usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        list_usage(&self.driver, &self.scans, query).await
    }

    /// How many grants there were, by what the query groups by. What is committed meanwhile may count or not.
    ///
    /// # Errors
    /// As for [`list_usage`](Store::list_usage).
    pub async fn summarise_usage(&self, query: &SummaryQuery) -> Result<Summary, StoreError> {
        summarise(&self.driver, &self.scans, query).await
    }

    /// Records of admin changes, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list_changes(&self, query: ChangesQuery) -> Result<Vec<ChangeRow>, StoreError> {
        list_changes(&self.driver, query).await.map_err(StoreError::Read)
    }

    /// When each consumer was granted a key last, as far as that was noted.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn uses(&self) -> Result<Vec<(ConsumerNo, GrantId)>, StoreError> {
        list_uses(&self.driver).await.map_err(StoreError::Read)
    }

    /// Notes when consumers were granted a key last. What was noted of later grants stays.
    ///
    /// # Errors
    /// It is not noted, or it cannot be known.
    pub async fn note_uses(&self, uses: &[(ConsumerNo, GrantId)]) -> Result<(), StoreError> {
        self.driver.write(uses::statements(uses)).await.map_err(StoreError::Write)
    }

    /// Compares every counter with the events behind it (promise 3) and lists those that differ: none, ever.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn check_counters(&self) -> Result<Vec<CounterMismatch>, StoreError> {
        list_mismatches(&self.driver).await.map_err(StoreError::Read)
    }

    /// Ends reads and writes and lets the database go: a SQLite file with its journal folded in and its lock given back.
    /// Twice is harmless.
    pub async fn close(&self) {
        self.driver.close().await;
    }

    /// A lone writer's events are the newest of their keys; those of several pass each other on the way.
    fn usual_order(&self) -> Order {
        if self.is_shared() { Order::Anywhere } else { Order::Newest }
    }

    async fn write_draws(
        &self,
        batch: &DrawBatch,
        order: Order,
    ) -> Result<Result<(), DriverError>, Attempt> {
        let statement = draw_statement(batch, order, self.sender(), self.clock_leeway);
        let statement = statement.map_err(|error| Attempt::Ended(WriteError::Failed(error)))?;
        Ok(self.driver.write(vec![statement]).await)
    }

    fn sender(&self) -> Option<Sender> {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_as(&self, sender: Sender) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }

    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        self.driver.read(statement).await.map_err(StoreError::Read)
    }

    async fn number(&self, sql: &'static str) -> Result<i64, StoreError> {
        let mut rows = self.driver.read(Statement::new(sql)).await.map_err(StoreError::Read)?;
        let first = rows.first_mut().map_or(Ok(0), |row| row.int());
        first.map_err(StoreError::Read)
    }
}

/// How a try to write ended, if not well.
enum Attempt {
    /// Its answer was lost, nothing of it was written, and nothing of it can be written any more.
    Lost(DriverError),
    Ended(WriteError),
}

impl Attempt {
    fn into_error(self) -> WriteError {
        match self {
            Attempt::Lost(error) => failed(error),
            Attempt::Ended(error) => error,
        }
    }
}

/// A number that nobody else has.
fn new_fence() -> i64 {
    let (_, low) = Uuid::now_v7().as_u64_pair();
    i64::try_from(low & 0x3fff_ffff_ffff_ffff).expect("62 bits fit")
}

/// What the trigger of `draw_batch` says.
fn verdict(error: &DriverError) -> Option<WriteError> {
    let DriverError::Raised(word) = error else { return None };
    match word.strip_prefix("keypooler: ")? {
        "stale" => Some(WriteError::Stale),
        "spent" => Some(WriteError::Spent),
        "clock" => Some(WriteError::Clock),
        "fenced" => Some(WriteError::Fenced),
        "upgraded" => Some(WriteError::Upgraded),
        _ => None,
    }
}

fn failed(error: DriverError) -> WriteError {
    WriteError::Failed(StoreError::Write(error))
}
