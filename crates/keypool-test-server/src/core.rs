//! What all requests of a server share.

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::answer::Endpoint;
use crate::clock::ServerClock;
use crate::counts::Counts;
use crate::database::Database;
use crate::faults::Faults;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::session::Session;
use crate::settings::ServerSettings;
use crate::streams::{Lease, Streams};
use crate::wire::Text;
use crate::write_lock::WriteLock;
use crate::{cursor, pipeline};

/// More than there will ever be requests at a time.
const MOST_ACTING: u32 = 1 << 20;

/// The state behind a server's sockets. It outlives a restart.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: ServerSettings,
    pub(crate) database: Arc<Database>,
    pub(crate) write_lock: Arc<WriteLock>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) faults: Faults,
    pub(crate) counts: Counts,
    /// A permit for each request that is being acted on, so that stopping can wait for the last.
    acting: Arc<Semaphore>,
    /// What goes on although its client may have left.
    background: Mutex<JoinSet<()>>,
}

impl Core {
    pub(crate) fn open(settings: ServerSettings) -> Result<Self, rusqlite::Error> {
        let clock = Arc::new(ServerClock::open()?);
        let database = Arc::new(Database::open(&settings, Arc::clone(&clock))?);
        let streams = Arc::new(Streams::new(settings.most_streams));
        Ok(Self {
            database,
            write_lock: Arc::default(),
            faults: Faults::new(clock, Arc::clone(&streams)),
            counts: Counts::new(Arc::clone(&streams)),
            streams,
            acting: Arc::new(Semaphore::new(MOST_ACTING as usize)),
            background: Mutex::new(JoinSet::new()),
            settings,
        })
    }

    /// The stream that a baton belongs to, or a new one.
    ///
    /// # Errors
    ///
    /// The refusals of [`Streams::open`] and [`Streams::resume`].
    pub(crate) fn lease(&self, baton: Option<&Text<'_>>) -> Result<(Lease, Box<Session>), Refusal> {
        match baton {
            Some(baton) => self.streams.resume(baton.as_str(), self.settings.stream_idle),
            None => {
                let lease = self.streams.open()?;
                let session = Session::new(lease.id, Arc::clone(&self.database));
                Ok((lease, Box::new(session)))
            }
        }
    }

    /// Acts on a request, on a thread that may block. It is carried through even where the answer is no longer awaited.
    /// None: the server ends.
    pub(crate) async fn act(self: &Arc<Self>, endpoint: Endpoint, body: Bytes) -> Option<Answer> {
        let acting = Arc::clone(&self.acting).acquire_owned().await;
        let core = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || {
            let answer = match endpoint {
                Endpoint::Pipeline => pipeline::pipeline(&core, &body),
                Endpoint::Cursor => cursor::cursor(&core, &body),
            };
            drop(acting);
            answer
        });
        answer.await.ok()
    }

    /// Runs something that ends only by itself or with the server.
    pub(crate) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut background = self.background.lock().expect("no thread panics while it spawns");
        while background.try_join_next().is_some() {}
        background.spawn(work);
    }

    /// Ends all streams and waits until no request is being acted on.
    pub(crate) async fn quiesce(&self) {
        let mut background = {
            let mut background = self.background.lock().expect("no thread panics while it spawns");
            std::mem::take(&mut *background)
        };
        background.shutdown().await;
        self.streams.forget_all();
        let all = self.acting.acquire_many(MOST_ACTING).await;
        drop(all);
        self.database.close_idle();
    }
}
