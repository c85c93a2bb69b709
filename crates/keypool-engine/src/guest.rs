//! A guest: a command that changes the pool beside whoever serves it, and ends. It is one more replica: it loads the pool,
//! changes it as an admin does, through the same checks and the same committer, and every change raises the revision, by
//! which whoever serves the pool takes it over.
//!
//! On a file it stands beside the one server, whose lock it leaves alone, and where nobody serves the file it does not keep
//! a server from starting half way. It migrates nothing.

use std::time::Duration;

use keypool_store::{Host, Origin, Seat, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::{Engine, EngineSettings, OpenError};

/// How long a guest waits for the server to take over what it changed, which takes a second at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between two looks whether it has.
const PACE: Duration = Duration::from_millis(25);

/// A pool that is opened to be changed beside whoever serves it. It should be [left](Guest::leave); one that is merely
/// dropped loses nothing, but its last changes may not hold yet.
#[derive(Debug)]
pub struct Guest {
    engine: Engine,
    origin: Origin,
}

/// What a guest changed is on record, but it is not known to hold.
#[derive(Debug, thiserror::Error)]
pub enum Unnoticed {
    /// The server on the same file did not take it over.
    #[error(
        "the changes are made, but the server has not taken them over within {secs} s: until it does, it may refuse or list \
         by what was before; see whether it still answers",
        secs = PATIENCE.as_secs()
    )]
    Late,
    /// It can't be seen whether it did.
    #[error("the changes are made, but it can't be seen whether the server has taken them over")]
    Unseen(#[source] StoreError),
}

impl Guest {
    /// Opens the pool beside whoever serves it, for the command of this name, as it is put on record: `keypooler import`.
    ///
    /// # Errors
    /// [`OpenError`]: there is no database, or not of this version's schema, or a value in it does not open.
    pub async fn open(command: &str, settings: EngineSettings) -> Result<Self, OpenError> {
        let engine = Engine::open_as(Seat::Guest, settings).await?;
        Ok(Self { engine, origin: Origin::command(command) })
    }

    /// The pool, to look into and to change.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Who makes the changes, for the record.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Closes the pool, and returns once what was changed holds: on a file the server has taken it over, if there is one;
    /// replicas of a libSQL server ask before they refuse.
    ///
    /// # Errors
    /// [`Unnoticed`] if that does not come to pass.
    pub async fn leave(self) -> Result<(), Unnoticed> {
        let noticed = until_noticed(&self.engine.shared.store).await;
        self.engine.close().await;
        noticed
    }
}

/// Returns once whoever serves the same file has taken over what is in it now, if anybody does.
pub(crate) async fn until_noticed(store: &Store) -> Result<(), Unnoticed> {
    let written = store.revision().await.map_err(Unnoticed::Unseen)?;
    let begun = Instant::now();
    loop {
        match store.host().map_err(Unnoticed::Unseen)? {
            Host::Absent => return Ok(()),
            Host::Says { revision, .. } if revision >= written => return Ok(()),
            Host::Says { .. } | Host::Silent if begun.elapsed() > PATIENCE => {
                return Err(Unnoticed::Late);
            }
            Host::Says { .. } | Host::Silent => sleep(PACE).await,
        }
    }
}
