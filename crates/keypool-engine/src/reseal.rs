//! Seals everything under the current encryption key, beside whoever serves the pool, and tells how values are sealed.
//!
//! A few values at a time get their new seal in one transaction. Each was opened, and the new seal opened again and compared,
//! before it takes the place of the old one, and takes it only if that is still there. Whoever is killed on the way leaves
//! a pool that serves as before, some of it sealed anew: the next run finds what is left.

mod check;

use std::time::Duration;

use keypool_core::Timestamp;
use keypool_crypto::{Seal, SealError, Sealer};
use keypool_store::{
    NewSeal, OpenStoreError, Origin, Resealing, Store, StoreError, StoreSettings, StoredValue,
    WriteError, visit,
};
use tokio::time::{Instant, sleep};

pub use self::check::{CopyFound, SealReport, check_seals};
use crate::OpenError;
use crate::clock::Clock;
use crate::guest::{OtherKeys, Unnoticed, demand_same_key, until_noticed};
use crate::trial::{place_of, try_values};

/// Values, and bytes of their old and new seals, that go in one transaction: others wait for it some milliseconds.
const MOST_VALUES: usize = 64;
const MOST_BYTES: usize = 128 * 1024;
/// How often a batch is tried that fails or whose outcome is not known.
const MOST_TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// How often all values are gone through: those that were changed meanwhile have their turn in the next round.
const MOST_ROUNDS: u32 = 8;

/// Not everything was sealed under the current key. What was sealed anew stays, and the same may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// There is no key to seal under.
    #[error("there is no encryption key to seal under")]
    NoKey,
    /// The pool could not be opened.
    #[error("the pool was not opened")]
    Store(#[from] OpenStoreError),
    /// What is stored needs another key.
    #[error("the values could not be opened")]
    Values(#[source] OpenError),
    /// The server that serves the pool would not open what is sealed.
    #[error(transparent)]
    Host(#[from] OtherKeys),
    /// The database could not be read.
    #[error("the values could not be read")]
    Read(#[source] StoreError),
    /// A value could not be sealed.
    #[error("a value could not be sealed")]
    Seal(#[from] SealError),
    /// What was sealed did not open as what it was. Nothing of it was stored.
    #[error(
        "a seal of key {name:?} ({id}) does not open as what was sealed; nothing of it was stored"
    )]
    Unfaithful {
        /// The key's name.
        name: String,
        /// The key's UUID.
        id: String,
    },
    /// The database could not be written.
    #[error("the new seals could not be stored")]
    Write(#[source] WriteError),
    /// The values are sealed, but the old ones may be left in the file.
    #[error(
        "the values are sealed, but what they were before may be left in the file or its journal; do this again"
    )]
    Remains(#[source] StoreError),
    /// It is done, but the server has not taken it over.
    #[error(transparent)]
    Unnoticed(#[from] Unnoticed),
    /// The folder of the database can't be read.
    #[error("it can't be seen what lies beside the database")]
    Folder(#[source] std::io::Error),
}

/// Seals everything under the current key and wipes what was there before; gives how many values got a new seal. A value
/// that does not open is left as it is: plain text, where the sealer refuses it. The clock is for a file; a database
/// server has its own. `progress` is told how many of how many are done.
///
/// # Errors
/// [`ResealError`].
pub async fn reseal(
    store: StoreSettings,
    sealer: &Sealer,
    clock: &Clock,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, ResealError> {
    if !sealer.is_encrypting() {
        return Err(ResealError::NoKey);
    }
    let mut prospect = visit(store).await?;
    let values = prospect.values().await.map_err(ResealError::Read)?;
    try_values(&values, sealer).map_err(ResealError::Values)?;
    let database_clock = prospect.database_clock().await.map_err(ResealError::Read)?;
    let at = database_clock.unwrap_or(clock.read().wall);
    let store = prospect.open().await?;
    let resealer = Resealer { store: &store, sealer, at };
    let resealed = resealer.run(&mut progress).await;
    store.close().await;
    resealed
}

struct Resealer<'a> {
    store: &'a Store,
    sealer: &'a Sealer,
    at: Timestamp,
}

impl Resealer<'_> {
    async fn run(&self, progress: &mut impl FnMut(u64, u64)) -> Result<u64, ResealError> {
        demand_same_key(self.store, self.sealer).await?;
        let mut resealed = 0;
        for _ in 0..MOST_ROUNDS {
            let mut due = self.due().await?;
            if due.is_empty() {
                break;
            }
            if resealed == 0 {
                self.store.issue_replica().await.map_err(ResealError::Write)?;
            }
            let of = resealed + due.len() as u64;
            while !due.is_empty() {
                progress(resealed, of);
                let begun = Instant::now();
                resealed += self.store_batch(&mut due).await?;
                // Whoever serves the pool has its turn, too.
                sleep(begun.elapsed()).await;
            }
            progress(resealed, of);
        }
        self.store.wipe_remains().await.map_err(ResealError::Remains)?;
        until_noticed(self.store).await?;
        Ok(resealed)
    }

    /// What is not sealed under the current key and opens.
    async fn due(&self) -> Result<Vec<StoredValue>, ResealError> {
        let mut values = self.store.stored_values().await.map_err(ResealError::Read)?;
        values.retain(|value| {
            self.sealer.seal_of(&value.text).is_ok_and(|seal| seal != Seal::Current)
                && self.sealer.open(place_of(value), &value.text).is_ok()
        });
        // Taken from the end.
        values.reverse();
        Ok(values)
    }

    /// Seals the last of these anew, as many as go together, and takes them off.
    async fn store_batch(&self, due: &mut Vec<StoredValue>) -> Result<u64, ResealError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(old) = due.pop() {
            let seal = self.seal(old)?;
            bytes += seal.old.text.len() + seal.text.len();
            batch.push(seal);
            if batch.len() >= MOST_VALUES || bytes >= MOST_BYTES {
                break;
            }
        }
        let count = batch.len() as u64;
        self.commit(batch).await?;
        Ok(count)
    }

    fn seal(&self, old: StoredValue) -> Result<NewSeal, ResealError> {
        let place = place_of(&old);
        let unfaithful = || ResealError::Unfaithful { name: old.name.clone(), id: old.key.clone() };
        let value = self.sealer.open(place, &old.text).map_err(|_| unfaithful())?;
        let sealed = self.sealer.seal(place, value.expose())?;
        let again = self.sealer.open(place, sealed.as_str()).map_err(|_| unfaithful())?;
        if again.expose() != value.expose() {
            return Err(unfaithful());
        }
        Ok(NewSeal { text: sealed.into_string(), old })
    }

    async fn commit(&self, values: Vec<NewSeal>) -> Result<(), ResealError> {
        let origin = Origin::command("keypooler reseal");
        let mut resealing = Resealing { base: 0, at: self.at, origin, values };
        let mut tries = 0;
        loop {
            resealing.base = self.store.revision().await.map_err(ResealError::Read)?;
            match self.store.reseal(&resealing).await {
                Ok(()) => return Ok(()),
                // Somebody else changed the pool in between.
                Err(WriteError::Stale) => {}
                Err(WriteError::Fenced) => {
                    self.store.issue_replica().await.map_err(ResealError::Write)?;
                }
                // Done twice it does no more than once.
                Err(error @ (WriteError::InDoubt(_) | WriteError::Failed(_)))
                    if tries < MOST_TRIES =>
                {
                    tries += 1;
                    tracing::warn!(%error, "some values could not be sealed anew; trying again");
                    sleep(BETWEEN_TRIES).await;
                }
                Err(error) => return Err(ResealError::Write(error)),
            }
        }
    }
}
