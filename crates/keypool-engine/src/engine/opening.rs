//! Opening a pool: the database is looked at, brought to today's schema and loaded, and the tasks are started.

use std::sync::Arc;

use keypool_core::Timestamp;
use keypool_crypto::{Fingerprinter, Sealer};
use keypool_store::{Prospect, Seat, Shape, Store};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::{Engine, EngineSettings};
use crate::clock::{Clock, Reading};
use crate::committer::{self, Shared};
use crate::freshness::DatabaseClock;
use crate::live::Live;
use crate::opener::Opener;
use crate::timekeeper::{Timekeeper, TooFarBehind};
use crate::trial::try_values;
use crate::{OpenError, load, lookout, watcher};

/// How often a database is looked at whose schema other replicas change meanwhile: once for each step.
const MOST_LOOKS: u32 = 8;

impl Engine {
    /// Opens the pool: takes the database's lock, tries every sealed value, brings the schema to today's, loads.
    ///
    /// # Errors
    /// [`OpenError`]. A start that is refused because of a sealed value or the clock leaves the database as it was, byte
    /// for byte.
    pub async fn open(settings: EngineSettings) -> Result<Self, OpenError> {
        Self::open_as(Seat::Server, settings).await
    }

    pub(crate) async fn open_as(seat: Seat, settings: EngineSettings) -> Result<Self, OpenError> {
        let (mut prospect, newest) = look(seat, &settings).await?;
        let asked_ms = settings.clock.read().steady_ms;
        let database_time = prospect.database_clock().await.map_err(OpenError::Load)?;
        let first = settings.clock.read();
        let database_clock =
            database_time.map(|now| DatabaseClock::of(now, asked_ms, first.steady_ms));
        let wall = database_clock.map_or(first.wall, |clock| clock.at(first.steady_ms));
        let timekeeper =
            Timekeeper::start(Reading { wall, ..first }, newest, settings.accept_clock).map_err(
                |TooFarBehind { behind_ms, newest }| OpenError::ClockBehind {
                    behind_secs: behind_ms / 1_000,
                    newest,
                },
            )?;
        let store = prospect.open().await?;
        let clocks = (settings.clock, database_clock, timekeeper);
        match Self::start(&store, settings.sealer, clocks).await {
            Ok(shared) => {
                let shared = Arc::new(shared);
                let mut tasks = JoinSet::new();
                tasks.spawn(committer::run(Arc::clone(&shared)));
                if store.is_shared() {
                    tasks.spawn(watcher::run(Arc::clone(&shared)));
                } else {
                    tasks.spawn(lookout::run(Arc::clone(&shared)));
                }
                Ok(Self {
                    shared,
                    admin_tokens: settings.admin_tokens.into(),
                    tasks: Arc::new(Mutex::new(tasks)),
                })
            }
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    async fn start(
        store: &Store,
        sealer: Sealer,
        (clock, database_clock, timekeeper): (Clock, Option<DatabaseClock>, Timekeeper),
    ) -> Result<Shared, OpenError> {
        // Before the pool is read: from here on nobody else grants under this number.
        let replica = store.issue_replica().await.map_err(OpenError::Replica)?;
        let snapshot = store.load().await.map_err(OpenError::Load)?;
        let fingerprinter = Fingerprinter::generate()?;
        let opener = Opener { sealer: &sealer, fingerprinter: &fingerprinter };
        let pool = load::load(snapshot, replica, clock.read().steady_ms, opener);
        let live = Live::new(pool, replica, clock, database_clock, timekeeper);
        Ok(Shared::new(store.clone(), (sealer, fingerprinter), live))
    }
}

/// Looks at a database before it is opened, and tries every sealed value; gives the moment of its newest usage event.
async fn look(
    seat: Seat,
    settings: &EngineSettings,
) -> Result<(Prospect, Option<Timestamp>), OpenError> {
    let mut looks = 1;
    loop {
        match look_once(seat, settings).await {
            Err(error) if looks < MOST_LOOKS && is_of_another_schema(&error) => looks += 1,
            looked => return looked,
        }
    }
}

async fn look_once(
    seat: Seat,
    settings: &EngineSettings,
) -> Result<(Prospect, Option<Timestamp>), OpenError> {
    let store = settings.store.clone();
    let mut prospect = match seat {
        Seat::Server => keypool_store::inspect(store).await?,
        Seat::Guest => keypool_store::visit(store).await?,
    };
    if prospect.shape() != Shape::Empty {
        let values = prospect.values().await.map_err(OpenError::Load)?;
        try_values(&values, &settings.sealer)?;
        for odd in prospect.oddities().await.map_err(OpenError::Load)? {
            tracing::warn!(table = %odd.table, id = %odd.id, name = %odd.name, "odd row: {}", odd.what);
        }
    }
    let newest = prospect.newest_event().await.map_err(OpenError::Load)?;
    Ok((prospect, newest))
}

/// Whether a look failed because a replica that starts at the same moment has brought the database further meanwhile.
fn is_of_another_schema(error: &OpenError) -> bool {
    match error {
        OpenError::Load(error) => error.is_of_another_schema(),
        OpenError::Store(error) => error.is_of_another_schema(),
        OpenError::Replica(_)
        | OpenError::Host(_)
        | OpenError::Random(_)
        | OpenError::KeyMissing { .. }
        | OpenError::OtherKey { .. }
        | OpenError::PlainValues { .. }
        | OpenError::ClockBehind { .. } => false,
    }
}
