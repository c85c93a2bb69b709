//! A replica: an engine that can be killed and started again, with its own wall clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keypool_engine::{
    Clock, Engine, EngineSettings, RuntimeClock, Sealer, SimulatedServer, SimulatedSettings,
};
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long an answer of the database is waited for.
const DEADLINE: Duration = Duration::from_secs(1);

/// A place where an engine runs, or none.
pub(crate) struct Replica {
    number: usize,
    server: SimulatedServer,
    pub(crate) clock: RuntimeClock,
    /// How far a batch's time of sending may be off the database's clock.
    clock_leeway: Option<Duration>,
    running: Mutex<Option<Running>>,
}

struct Running {
    engine: Engine,
    severed: Arc<AtomicBool>,
    /// Whoever waits for it when it is killed learns of it, in the order of their asking; a `watch` wakes them in any.
    killed: Arc<Notify>,
}

impl Replica {
    pub(crate) fn new(
        number: usize,
        server: SimulatedServer,
        (clock, clock_leeway): (RuntimeClock, Option<Duration>),
    ) -> Self {
        Self { number, server, clock, clock_leeway, running: Mutex::new(None) }
    }

    /// The engine, if it runs, and what tells that it was killed.
    pub(crate) fn engine(&self) -> Option<(Engine, Arc<Notify>)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| (running.engine.clone(), Arc::clone(&running.killed)))
    }

    /// Tries to start until it runs.
    pub(crate) async fn start(&self) {
        loop {
            let severed = Arc::new(AtomicBool::new(false));
            let store = SimulatedSettings {
                server: self.server.clone(),
                link: self.number,
                deadline: DEADLINE,
                clock_leeway: self.clock_leeway,
                severed: Arc::clone(&severed),
            };
            let settings = EngineSettings {
                store: store.into(),
                sealer: Sealer::plain(),
                admin_tokens: Vec::new(),
                clock: Clock::Runtime(self.clock.clone()),
                accept_clock: true,
            };
            if let Ok(engine) = Engine::open(settings).await {
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                *running = Some(Running { engine, severed, killed: Arc::default() });
                return;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Ends it as `kill -9` does: what it has sent is on its way, and it does nothing more.
    pub(crate) fn kill(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { engine, severed, killed }) = running {
            severed.store(true, Ordering::SeqCst);
            drop(engine);
            killed.notify_waiters();
        }
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { engine, .. }) = running {
            engine.close().await;
        }
    }
}
