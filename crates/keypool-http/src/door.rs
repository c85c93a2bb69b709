//! The door: lets connections in as long as there is room, and tells the others so.

use std::io;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::admission::{Admitted, Full};
use crate::answer::App;
use crate::connection::{Connection, converse};
use crate::listener::{Accepted, Carrier};
use crate::meters::ConnectionEvent;
use crate::own_answer;
use crate::problem::Problem;
use crate::rarely::Rarely;
use crate::request_id::fresh;
use crate::source::Source;
use crate::stream::Stream;

/// So many are told at a time that there is no room. Further ones are closed without a word.
const TOLD: usize = 64;

/// Each has so long to hear it.
const TELLING: Duration = Duration::from_secs(1);

/// The pause after a failure to accept that is likely to last, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// Lets connections in.
#[derive(Debug)]
pub(crate) struct Door {
    app: App,
    /// Those that are served.
    pub(crate) connections: JoinSet<()>,
    /// Those that are told that there is no room.
    pub(crate) turned_away: JoinSet<()>,
    refusals: Rarely,
    failures: Rarely,
}

impl Door {
    /// Nobody is in yet.
    pub(crate) fn new(app: App) -> Self {
        Self {
            app,
            connections: JoinSet::new(),
            turned_away: JoinSet::new(),
            refusals: Rarely::default(),
            failures: Rarely::default(),
        }
    }

    /// Serves a connection, if there is room.
    pub(crate) fn open(&mut self, accepted: Accepted, graceful: &GracefulShutdown) {
        let Accepted { stream, peer } = accepted;
        let meters = &self.app.meters.connections;
        let Admitted { place, progress, given_up } =
            match self.app.admission.admit(self.counted_for(peer)) {
                Ok(admitted) => admitted,
                Err(full) => return self.turn_away(stream, peer, full),
            };
        meters.add(ConnectionEvent::Accepted);
        (0..given_up).for_each(|_| meters.add(ConnectionEvent::GivenUp));
        let (app, watcher) = (self.app.clone(), graceful.watcher());
        let connection = Connection { peer, progress: progress.clone() };
        let task = self.connections.spawn(async move {
            if let Some(stream) = unseal(&app, stream).await {
                converse(app, stream, connection, watcher).await;
            }
            drop(place);
        });
        progress.runs(task);
    }

    /// Makes the best of a connection that can't be accepted: what waits gives way, and there is a pause.
    pub(crate) async fn stay_shut(&self, error: &io::Error) {
        let given_up = self.app.admission.give_up_some();
        let meters = &self.app.meters.connections;
        meters.add(ConnectionEvent::NotAccepted);
        (0..given_up).for_each(|_| meters.add(ConnectionEvent::GivenUp));
        if let Some(failures) = self.failures.happened() {
            tracing::warn!(
                target: "keypool_http",
                error = error as &dyn std::error::Error,
                failures,
                "no connection can be accepted; trying again shortly"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// Whose connections are limited beside all others: a proxy's are those of many clients.
    fn counted_for(&self, peer: Source) -> Option<Source> {
        let is_address = matches!(peer, Source::Address(_));
        (is_address && !self.app.settings.trusted_proxies.trusts(peer)).then(|| peer.network())
    }

    fn turn_away(&mut self, stream: Carrier, peer: Source, full: Full) {
        let (event, detail) = match full {
            Full::InAll => (ConnectionEvent::RefusedInAll, "there are too many connections"),
            Full::OfAddress => (
                ConnectionEvent::RefusedOfAddress,
                "there are too many connections from your address",
            ),
        };
        self.app.meters.connections.add(event);
        if let Some(refused) = self.refusals.happened() {
            let limit = if full == Full::InAll { "in all" } else { "of one address" };
            tracing::warn!(
                target: "keypool_http",
                from = %peer,
                limit,
                refused,
                "connections were refused: there are too many"
            );
        }
        // Keys are not agreed on with whom there is no room for.
        if let Carrier::Open(stream) = stream
            && self.turned_away.len() < TOLD
        {
            let answer = own_answer::head_and_body(&Problem::overloaded(detail), &fresh());
            self.turned_away.spawn(tell(stream, answer));
        }
    }
}

/// The stream once it may be spoken on, if the peer gets there in time.
async fn unseal(app: &App, stream: Carrier) -> Option<Stream> {
    let (stream, tls) = match stream {
        Carrier::Open(stream) => return Some(stream),
        Carrier::Sealed(stream, tls) => (stream, tls),
    };
    let agreed = async {
        tokio::select! {
            agreed = tls.accept(stream) => agreed,
            () = app.drained() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    };
    let agreed = match app.settings.header_timeout {
        Some(limit) => {
            tokio::time::timeout(limit, agreed).await.unwrap_or_else(|late| Err(late.into()))
        }
        None => agreed.await,
    };
    match agreed {
        Ok(stream) => Some(Stream::Tls(Box::new(stream))),
        Err(error) => {
            app.meters.connections.add(ConnectionEvent::NoHandshake);
            tracing::debug!(
                target: "keypool_http",
                error = &error as &dyn std::error::Error,
                "no keys were agreed on"
            );
            None
        }
    }
}

/// Says so and hangs up, as soon as the peer has heard it.
async fn tell(mut stream: Stream, answer: Vec<u8>) {
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // Were it closed with anything unread, that would come back as a reset and could take the answer with it.
        let mut memory = [0; 1024];
        while stream.read(&mut memory).await? > 0 {}
        io::Result::Ok(())
    };
    // Nobody is left to tell of a failure.
    let _ = tokio::time::timeout(TELLING, telling).await;
}
