//! One history from its beginning to its end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keypool_engine::{Origin, RuntimeClock, SimulatedServer, Timestamp};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::ledger::{Asked, Ledger};
use crate::network::Network;
use crate::replica::Replica;
use crate::{History, Violation, admin, clients, verdict, witness};

/// A moment in 2027, in milliseconds since the Unix epoch.
const START_MS: i64 = 1_800_000_000_000;
/// Longer than any request is on its way.
const UNTIL_ALL_ARRIVED: Duration = Duration::from_secs(20);
/// From the end of the trouble until everything is served again.
const UNTIL_WELL: Duration = Duration::from_secs(5);

/// What the tasks of a history share.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) network: Network,
    pub(crate) server: SimulatedServer,
    /// The database's.
    pub(crate) time: RuntimeClock,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) is_over: AtomicBool,
    ledger: Mutex<Ledger>,
    history: Mutex<History>,
    moments: AtomicU64,
}

/// A database of today's schema with nothing in it: made once, as that takes longer than most else.
static FRESH: LazyLock<Vec<u8>> = LazyLock::new(|| {
    runtime().block_on(async {
        let clock = RuntimeClock::new(Timestamp::from_millis(START_MS));
        let network = Network::new(1, Chance::of(0));
        let (time, fates) = (clock.clone(), network);
        let server = SimulatedServer::new(
            None,
            move || time.now().as_millis(),
            move |way, errand| fates.fate(way, errand),
        );
        let server = server.expect("SQLite opens in memory");
        let replica = Replica::new(0, server.clone(), (clock, None));
        replica.start().await;
        replica.stop().await;
        server.contents().expect("what is in memory can be read")
    })
});

/// Lives a history through.
#[must_use]
pub fn simulate(seed: u64) -> History {
    let fresh = FRESH.as_slice();
    runtime().block_on(live(seed, fresh))
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without drivers can be made")
}

async fn live(seed: u64, fresh: &[u8]) -> History {
    let world = Arc::new(World::of(seed, fresh));
    for replica in &world.replicas {
        replica.start().await;
    }
    witness::install(&world);
    admin::furnish(&world).await;

    let mut tasks = JoinSet::new();
    for _ in 0..world.chance.between(2, 8) {
        tasks.spawn(clients::draw_on(Arc::clone(&world)));
    }
    tasks.spawn(admin::change_on(Arc::clone(&world)));
    tasks.spawn(turn_weather(Arc::clone(&world)));
    tasks.spawn(kill_and_start(Arc::clone(&world)));
    sleep(world.chance.millis(3_000, 30_000)).await;
    world.is_over.store(true, Ordering::SeqCst);
    while tasks.join_next().await.is_some() {}

    verdict::find(&world, UNTIL_WELL, UNTIL_ALL_ARRIVED).await;
    let mut history = world.history().clone();
    history.requests = world.network.requests();
    history
}

impl World {
    fn of(seed: u64, fresh: &[u8]) -> World {
        let chance = Chance::of(seed);
        let count = usize::try_from(chance.between(1, 3)).unwrap_or(1);
        let network = Network::new(count, chance.clone());
        let server_time = RuntimeClock::new(Timestamp::from_millis(START_MS));
        let fates = network.clone();
        let time = server_time.clone();
        let server = SimulatedServer::new(
            Some(fresh),
            move || server_time.now().as_millis(),
            move |way, errand| fates.fate(way, errand),
        );
        let server = server.expect("SQLite opens in memory");
        // Without it only the fence keeps off what comes late.
        let clock_leeway = chance.per_mille(500).then(|| Duration::from_secs(1));
        let replica = |number| {
            let off = i64::try_from(chance.between(0, 7_200_000)).unwrap_or(0) - 3_600_000;
            let clock = RuntimeClock::new(Timestamp::from_millis(START_MS + off));
            Replica::new(number, server.clone(), (clock, clock_leeway))
        };
        let replicas = (0..count).map(replica).collect();
        World {
            chance,
            network,
            server,
            time,
            replicas,
            is_over: AtomicBool::new(false),
            ledger: Mutex::default(),
            history: Mutex::default(),
            moments: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that orders what is asked and what is answered.
    pub(crate) fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    /// Something is asked now.
    pub(crate) fn asked(&self) -> Asked {
        Asked { moment: self.moment(), at_ms: self.now_ms() }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.time.now().as_millis()
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.replicas[self.chance.index(self.replicas.len())]
    }

    pub(crate) fn violated(&self, promise: &'static str, what: String) {
        self.history().violations.push(Violation { promise, what });
    }

    /// Goes into the history's print, with the time.
    pub(crate) fn note(&self, number: u64) {
        let now = self.now_ms().unsigned_abs();
        let mut history = self.history();
        for number in [number, now] {
            // FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
            history.print = (history.print ^ number).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

pub(crate) fn origin() -> Origin {
    Origin::command("a simulation")
}

async fn turn_weather(world: Arc<World>) {
    while !world.is_over() {
        sleep(world.chance.millis(200, 3_000)).await;
        world.network.turn();
    }
    world.network.clear();
}

async fn kill_and_start(world: Arc<World>) {
    while !world.is_over() {
        sleep(world.chance.millis(500, 8_000)).await;
        let replica = world.replica();
        match world.chance.between(0, 9) {
            0..=3 => {
                replica.kill();
                world.history().kills += 1;
            }
            4 => {
                if timeout(clients::LONGEST, replica.stop()).await.is_err() {
                    world.violated("9 (no input hangs)", "a replica does not stop".to_owned());
                }
            }
            5 => {
                let ms = i64::try_from(world.chance.between(0, 80_000_000)).unwrap_or(0);
                replica.clock.set_by(ms - 40_000_000);
                continue;
            }
            _ => continue,
        }
        sleep(world.chance.millis(0, 3_000)).await;
        // In foul weather a start can take its time; the world goes on.
        let _ = timeout(Duration::from_secs(20), replica.start()).await;
    }
}
