//! A guest: a command that changes the pool beside whoever serves it, and ends. It is one more replica: it loads the pool,
//! changes it as an admin does, through the same checks and the same committer, and every change raises the revision, by
//! which whoever serves the pool takes it over.
//!
//! On a file it stands beside the one server, whose lock it leaves alone, and where nobody serves the file it does not keep
//! a server from starting half way. It migrates nothing.

use std::time::Duration;

use keypool_crypto::{KeyId, Sealer};
use keypool_store::{Host, Origin, Seat, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::{Engine, EngineSettings, OpenError};

/// How long a guest waits for a server that starts, and for it to take over what was changed, which takes a second at most.
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

/// The server on the same file does not have the encryption key that a guest would seal under. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OtherKeys {
    /// It seals under another one, or under none.
    #[error(
        "the server on this database does not seal under the ENCRYPTION_KEY that is given here: give this command the \
         server's, or restart the server with this one, and the one before as ENCRYPTION_KEY_PREVIOUS; then do this again"
    )]
    Different,
    /// It does not say.
    #[error(
        "the server on this database does not say what keys it has: see whether it still answers"
    )]
    Unsaid,
    /// It can't be asked.
    #[error("it can't be seen what keys the server on this database has")]
    Unseen(#[source] StoreError),
}

impl Guest {
    /// Opens the pool beside whoever serves it, for the command of this name, as it is put on record: `keypooler import`.
    ///
    /// # Errors
    /// [`OpenError`]: there is no database, or not of this version's schema, or a value in it does not open, or the server
    /// would not open what is sealed here.
    pub async fn open(command: &str, settings: EngineSettings) -> Result<Self, OpenError> {
        let engine = Engine::open_as(Seat::Guest, settings).await?;
        let shared = &engine.shared;
        if let Err(error) = demand_same_key(&shared.store, &shared.sealer).await {
            engine.close().await;
            return Err(error.into());
        }
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

/// Whoever serves the same file has to seal under the same key, or under none as well: it would take what is sealed
/// otherwise for damaged.
pub(crate) async fn demand_same_key(store: &Store, sealer: &Sealer) -> Result<(), OtherKeys> {
    let begun = Instant::now();
    loop {
        match store.host().map_err(OtherKeys::Unseen)? {
            Host::Absent => return Ok(()),
            Host::Says { remark, .. } => {
                let sealing_key = remark.split(' ').next().filter(|id| !id.is_empty());
                let is_ours = sealing_key == sealer.key_id().map(KeyId::as_str);
                return if is_ours { Ok(()) } else { Err(OtherKeys::Different) };
            }
            Host::Silent if begun.elapsed() > PATIENCE => return Err(OtherKeys::Unsaid),
            Host::Silent => sleep(PACE).await,
        }
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
