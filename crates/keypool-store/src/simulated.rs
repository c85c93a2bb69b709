//! A database in memory behind a network that fails as it is told to, for simulations: the real schema and statements, one
//! thread, no clock but tokio's, so that the same plan gives the same history.
//!
//! A request waits, is carried out or not, and is answered or not: see [`Fate`]. One that its sender has given up, or whose
//! sender is gone, goes on. Requests are carried out one after the other, each whole, as behind a database server.

mod database;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::database::Database;
pub use self::database::{Cell, SimulationError};
use crate::driver::{DriverError, Row, Statement};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out after a while, and answered after another.
    Answered {
        /// Until it is carried out.
        there: Duration,
        /// Until the answer is back.
        back: Duration,
    },
    /// It is not carried out, and its sender knows it.
    Refused(Fault),
    /// It never arrives, and no answer comes.
    RequestLost,
    /// It is carried out after a while, and the answer is lost. The while may be longer than its sender waits.
    AnswerLost {
        /// Until it is carried out.
        there: Duration,
    },
    /// It is carried out and answered, and after a while carried out once more; the second answer reaches nobody.
    Repeated {
        /// Until it is carried out.
        there: Duration,
        /// Until it is carried out again.
        again: Duration,
    },
    /// It is carried out twice, and the answer of the second time comes.
    AnsweredTwice {
        /// Until it is carried out.
        there: Duration,
        /// Until it is carried out again.
        again: Duration,
    },
}

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no connection.
    Unreachable,
    /// Another writer holds the lock.
    Busy,
    /// The disk is full.
    Full,
    /// The server takes no more requests.
    TooMany,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To read.
    Read,
    /// To write, or to migrate.
    Write,
}

type Destiny = Box<dyn FnMut(usize, Errand) -> Fate + Send>;

/// The database, its network and its clock. Clones are the same.
#[derive(Clone)]
pub struct SimulatedServer {
    database: Arc<Mutex<Database>>,
    destiny: Arc<Mutex<Destiny>>,
}

/// One sender's way to the database.
#[derive(Clone)]
pub struct SimulatedSettings {
    /// Where it is.
    pub server: SimulatedServer,
    /// The number that requests by this way are decided under.
    pub link: usize,
    /// How long an answer is waited for.
    pub deadline: Duration,
    /// How far the time of a batch's sending may be off the database's clock; `None` is however far.
    pub clock_leeway: Option<Duration>,
    /// Whether the sender is gone: whatever it asks from then on is never sent.
    pub severed: Arc<AtomicBool>,
}

impl SimulatedServer {
    /// A database that holds this, or nothing, and whose clock is `now_ms`, in milliseconds since the Unix epoch; `destiny`
    /// decides what becomes of each request, by the number of its link.
    ///
    /// # Errors
    /// [`SimulationError`] if SQLite can't be had.
    pub fn new(
        contents: Option<&[u8]>,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
        destiny: impl FnMut(usize, Errand) -> Fate + Send + 'static,
    ) -> Result<SimulatedServer, SimulationError> {
        Ok(SimulatedServer {
            database: Arc::new(Mutex::new(Database::open(contents, now_ms)?)),
            destiny: Arc::new(Mutex::new(Box::new(destiny))),
        })
    }

    /// All that the database holds, as a file would.
    ///
    /// # Errors
    /// [`SimulationError`] if SQLite refuses.
    pub fn contents(&self) -> Result<Vec<u8>, SimulationError> {
        self.database().contents()
    }

    /// Looks into the database past the network, at once; `numbers` are the statement's parameters.
    ///
    /// # Errors
    /// [`SimulationError`] if SQLite refuses the statement.
    pub fn look(&self, sql: &str, numbers: &[i64]) -> Result<Vec<Vec<Cell>>, SimulationError> {
        self.database().look(sql, numbers)
    }

    /// Runs statements past the network, at once.
    ///
    /// # Errors
    /// [`SimulationError`] if SQLite refuses one.
    pub fn run(&self, sql: &str) -> Result<(), SimulationError> {
        self.database().run(sql)
    }

    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, link: usize, errand: Errand) -> Fate {
        (self.destiny.lock().unwrap_or_else(PoisonError::into_inner))(link, errand)
    }
}

impl SimulatedSettings {
    /// Where it is, for messages.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        PathBuf::from("a simulated database")
    }
}

impl fmt::Debug for SimulatedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for SimulatedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedSettings").field("link", &self.link).finish_non_exhaustive()
    }
}

/// The driver.
#[derive(Debug)]
pub(crate) struct Simulated {
    settings: SimulatedSettings,
    requests: Mutex<JoinSet<()>>,
    is_closed: AtomicBool,
}

/// What a request asks for.
#[derive(Clone)]
enum Request {
    Read(Statement),
    Write(Vec<Statement>),
    Script(&'static str),
}

impl Simulated {
    pub(crate) fn new(settings: SimulatedSettings) -> Simulated {
        Simulated { settings, requests: Mutex::default(), is_closed: AtomicBool::new(false) }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        self.request(Request::Read(statement)).await
    }

    pub(crate) async fn write(&self, statements: Vec<Statement>) -> Result<(), DriverError> {
        if statements.is_empty() {
            return Ok(());
        }
        self.request(Request::Write(statements)).await.map(drop)
    }

    pub(crate) async fn script(&self, text: &'static str) -> Result<(), DriverError> {
        self.request(Request::Script(text)).await.map(drop)
    }

    /// Lets no further request in. Those under way go on by themselves.
    pub(crate) async fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    async fn request(&self, request: Request) -> Result<Vec<Row>, DriverError> {
        if self.settings.severed.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(DriverError::Closed);
        }
        let errand = match &request {
            Request::Read(_) => Errand::Read,
            Request::Write(_) | Request::Script(_) => Errand::Write,
        };
        let fate = self.settings.server.fate(self.settings.link, errand);
        let (answer, answered) = oneshot::channel();
        let journey = travel(self.settings.server.clone(), request, fate, answer);
        {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            while requests.try_join_next().is_some() {}
            requests.spawn(journey);
        }
        let lost = || DriverError::Unanswered("the deadline is over".to_owned());
        match timeout(self.settings.deadline, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(lost()),
        }
    }
}

impl Drop for Simulated {
    /// What was sent is on its way, whoever sent it.
    fn drop(&mut self) {
        self.requests.get_mut().unwrap_or_else(PoisonError::into_inner).detach_all();
    }
}

type Answer = oneshot::Sender<Result<Vec<Row>, DriverError>>;

async fn travel(server: SimulatedServer, request: Request, fate: Fate, answer: Answer) {
    let carry_out = |request: Request| match request {
        Request::Read(statement) => server.database().read(&statement),
        Request::Write(statements) => server.database().write(&statements).map(|()| Vec::new()),
        Request::Script(text) => server.database().script(text).map(|()| Vec::new()),
    };
    match fate {
        Fate::Answered { there, back } => {
            sleep(there).await;
            let outcome = carry_out(request);
            sleep(back).await;
            let _ = answer.send(outcome);
        }
        Fate::Refused(fault) => {
            let _ = answer.send(Err(fault.into()));
        }
        // The sender waits as long as this end of the channel is kept.
        Fate::RequestLost => {
            sleep(Duration::from_secs(3600)).await;
            drop(answer);
        }
        Fate::AnswerLost { there } => {
            sleep(there).await;
            let _ = carry_out(request);
            sleep(Duration::from_secs(3600)).await;
            drop(answer);
        }
        Fate::Repeated { there, again } => {
            sleep(there).await;
            let _ = answer.send(carry_out(request.clone()));
            sleep(again).await;
            let _ = carry_out(request);
        }
        Fate::AnsweredTwice { there, again } => {
            sleep(there).await;
            let _ = carry_out(request.clone());
            sleep(again).await;
            let _ = answer.send(carry_out(request));
        }
    }
}

impl From<Fault> for DriverError {
    fn from(fault: Fault) -> DriverError {
        match fault {
            Fault::Unreachable => DriverError::Unreachable(Box::new(DriverError::NoConnection(
                "the network is down".to_owned(),
            ))),
            Fault::Busy => DriverError::Busy,
            Fault::Full => DriverError::Full,
            Fault::TooMany => DriverError::TooManyRequests,
        }
    }
}
