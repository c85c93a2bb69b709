//! Prunes usage events: what is older than a day goes, some events at a time, beside whoever serves the pool. Whoever keeps
//! an archive has each event before it goes.
//!
//! Nobody's memory is touched by it: counters stay as they are. Each batch is a change, on record in its own transaction.

use std::sync::Arc;
use std::time::Duration;

use keypool_core::Timestamp;
use keypool_store::{
    ChangeRecord, OpenStoreError, OpenWindow, Origin, PruneBatch, Store, StoreError, StoreSettings,
    WriteError, visit,
};
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::times;
use crate::usage::UsageView;

/// How many events go in one transaction: it takes some milliseconds, for which others wait.
const A_BATCH: u32 = 4_000;
/// How often a batch is tried that fails or whose outcome is not known.
const TRIES: u32 = 5;
const DAY_MS: i64 = 86_400_000;

/// What is to be pruned.
#[derive(Clone, Debug)]
pub struct PruneSettings {
    /// Where the pool is.
    pub store: StoreSettings,
    /// Usage events older than the beginning of this moment's day (UTC) go.
    pub before: Timestamp,
    /// Where time comes from, for a file; a database server has its own.
    pub clock: Clock,
    /// Whether it is only to be told what would go.
    pub dry_run: bool,
}

/// What was pruned, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The beginning of the day that it was pruned to.
    pub before: Timestamp,
    /// How many usage events.
    pub events: u64,
    /// The moment of the first of them.
    pub first: Option<Timestamp>,
    /// The moment of the last of them.
    pub last: Option<Timestamp>,
}

/// Why it was not pruned, or not all of it: what went was recorded and archived whole, and the same may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The moment has not come.
    #[error("{} has not come yet: name a moment that is past", times::to_the_second(*before))]
    Future {
        /// The moment.
        before: Timestamp,
    },
    /// A window is open whose events have to stay.
    #[error("{}", open_window(window))]
    Open {
        /// The one that began first.
        window: OpenWindow,
    },
    /// The pool could not be opened.
    #[error("the pool was not opened")]
    Store(#[from] OpenStoreError),
    /// The database could not be read.
    #[error("what there is to prune could not be read")]
    Read(#[source] StoreError),
    /// The archive could not be written.
    #[error("the archive could not be written; what is not in it was not pruned")]
    Archive(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database could not be written.
    #[error("the events could not be pruned")]
    Write(#[source] WriteError),
}

fn open_window(window: &OpenWindow) -> String {
    let OpenWindow { key_name, key_id, feature, since, until } = window;
    let what = match feature {
        None => "budget window".to_owned(),
        Some(feature) => format!("rate window for {feature}"),
    };
    let [since, until] = [since, until].map(|at| times::to_the_second(*at));
    format!(
        "the {what} of key {key_name} ({key_id}) is open from {since} to {until}, and its events have to stay: prune to a day \
         before it, or wait until it ends"
    )
}

/// Prunes usage events. Each goes to `archive` first, oldest first, some at a time: they go when it returns well. Some may
/// come a second time, if they did not go the first time.
///
/// # Errors
/// [`PruneError`].
pub async fn prune(
    settings: PruneSettings,
    mut archive: impl FnMut(&[UsageView]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Pruned, PruneError> {
    let mut prospect = visit(settings.store).await?;
    let database_clock = prospect.database_clock().await.map_err(PruneError::Read)?;
    let now = database_clock.unwrap_or(settings.clock.read().wall);
    let before = beginning_of_day(settings.before);
    if settings.before > now {
        return Err(PruneError::Future { before: settings.before });
    }
    let store = prospect.open().await?;
    let pruning = Pruning { store: &store, before, now };
    let pruned = match pruning.look().await {
        Ok(pruned) if settings.dry_run || pruned.events == 0 => Ok(pruned),
        Ok(pruned) => pruning.run(pruned, &mut archive, &mut progress).await,
        Err(error) => Err(error),
    };
    store.close().await;
    pruned
}

fn beginning_of_day(moment: Timestamp) -> Timestamp {
    let ms = moment.as_millis();
    Timestamp::from_millis(ms - ms.rem_euclid(DAY_MS))
}

struct Pruning<'a> {
    store: &'a Store,
    before: Timestamp,
    now: Timestamp,
}

impl Pruning<'_> {
    async fn look(&self) -> Result<Pruned, PruneError> {
        let open = self.store.open_window(self.before, self.now).await.map_err(PruneError::Read)?;
        if let Some(window) = open {
            return Err(PruneError::Open { window });
        }
        let prunable = self.store.prunable(self.before).await.map_err(PruneError::Read)?;
        Ok(Pruned {
            before: self.before,
            events: u64::try_from(prunable.events).unwrap_or(0),
            first: prunable.first.map(|id| id.at()),
            last: prunable.last.map(|id| id.at()),
        })
    }

    async fn run(
        &self,
        expected: Pruned,
        archive: &mut impl FnMut(&[UsageView]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<Pruned, PruneError> {
        self.store.issue_replica().await.map_err(PruneError::Write)?;
        let mut events = 0;
        let mut tries = 0;
        loop {
            progress(events, expected.events.max(events));
            let oldest = self.store.oldest_usage(self.before, A_BATCH).await;
            let oldest = oldest.map_err(PruneError::Read)?;
            let Some(last) = oldest.last().map(|event| event.id) else { break };
            let oldest: Vec<UsageView> = oldest.into_iter().map(UsageView::from).collect();
            archive(&oldest).map_err(PruneError::Archive)?;
            // Others may have changed the pool while it was written; that these are the events is looked at again.
            let base = self.store.revision().await.map_err(PruneError::Read)?;
            let batch = PruneBatch {
                base,
                origin: Origin::command("keypooler prune"),
                record: self.record(oldest.len()),
                before: self.before,
                begun: self.now,
                last,
                events: oldest.len(),
            };
            let begun = Instant::now();
            match self.store.prune(&batch).await {
                Ok(()) => {
                    events += batch.events as u64;
                    tries = 0;
                }
                // Somebody else changed the pool in between, or an event came late: what there is is looked at anew.
                Err(WriteError::Stale) if tries < TRIES => tries += 1,
                Err(WriteError::Fenced) if tries < TRIES => {
                    tries += 1;
                    self.store.issue_replica().await.map_err(PruneError::Write)?;
                }
                Err(error @ (WriteError::InDoubt(_) | WriteError::Failed(_))) if tries < TRIES => {
                    tries += 1;
                    tracing::warn!(%error, "some events could not be pruned; trying again");
                    sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(PruneError::Write(error)),
            }
            // Whoever serves the pool has its turn, too.
            sleep(begun.elapsed()).await;
        }
        Ok(Pruned { events, ..expected })
    }

    fn record(&self, events: usize) -> ChangeRecord {
        let before = times::to_the_second(self.before);
        let after = serde_json::json!({ "before": before, "events": events });
        ChangeRecord {
            what: "prune_usage",
            id_of: Arc::from(""),
            name: Arc::from(""),
            before: None,
            after: Some(after.to_string()),
        }
    }
}
