//! What can go wrong: why the pool could not be opened, why a change was refused, why nothing could be recorded.

use keypool_core::Timestamp;
use keypool_crypto::RandomUnavailable;
use keypool_store::{OpenStoreError, StoreError, WriteError};

use crate::guest::OtherKeys;

/// The pool could not be opened. A database that was refused, be it for a sealed value or the clock, is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database could not be opened, recognised or brought to today's schema.
    #[error("the database could not be opened")]
    Store(#[from] OpenStoreError),
    /// The database was opened but could not be read or written.
    #[error("the pool could not be loaded")]
    Load(#[source] StoreError),
    /// The database did not issue a number for this run.
    #[error("the database can be read but not written")]
    Replica(#[source] WriteError),
    /// A guest has other keys than the server beside it.
    #[error(transparent)]
    Host(#[from] OtherKeys),
    /// The operating system gave no random bytes.
    #[error("the pool could not be loaded")]
    Random(#[from] RandomUnavailable),
    /// Values are sealed and no encryption key is given.
    #[error(
        "{count} of the stored values are sealed, and no ENCRYPTION_KEY is given (first: key {name:?}, {id})"
    )]
    KeyMissing {
        /// How many values are sealed.
        count: usize,
        /// Name of the first key that holds one.
        name: String,
        /// UUID of that key.
        id: String,
    },
    /// Values are sealed under an encryption key that is not given.
    #[error(
        "stored values are sealed under another encryption key than is given (first: key {name:?}, {id}); where \
         ENCRYPTION_KEY was replaced, give the one before as ENCRYPTION_KEY_PREVIOUS"
    )]
    OtherKey {
        /// Name of the first key whose value does not open.
        name: String,
        /// UUID of that key.
        id: String,
    },
    /// Values are plain text, and that is refused.
    #[error(
        "{count} of the stored values are plain text, which ENCRYPTION_REQUIRED refuses, of the keys {keys}; seal them \
         with keypooler reseal, then start again"
    )]
    PlainValues {
        /// How many values are plain text.
        count: usize,
        /// Names and UUIDs of the first keys that hold one.
        keys: String,
    },
    /// The wall clock is more than 24 hours behind the newest usage event.
    #[error(
        "the system clock is {behind_secs} s behind the newest usage event; set it, or start with --accept-clock until it has caught up"
    )]
    ClockBehind {
        /// How far behind, in seconds.
        behind_secs: i64,
        /// The newest usage event's moment.
        newest: Timestamp,
    },
}

/// Nothing could be granted or changed for a reason that is not the caller's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// The store failed; nothing was used up or changed.
    #[error("the store is unavailable; nothing was used up or changed")]
    Store,
    /// The store failed and it is not known whether the commit arrived; nothing was revealed.
    #[error(
        "it is not known whether the commit arrived; it may have been charged, nothing was revealed"
    )]
    InDoubt,
    /// Too many requests wait; nothing was used up.
    #[error("too many requests wait for the database; nothing was used up or changed")]
    Overloaded,
    /// The engine is closing; nothing was used up.
    #[error("the server is shutting down; nothing was used up or changed")]
    Closing,
}

/// A field whose content is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field, as callers name it; elements of an array as `[3].name`.
    pub field: String,
    /// A sentence that says what the field takes. It never repeats the content.
    pub problem: String,
}

/// Why a change by an admin was not made. Nothing was changed (but see [`Unavailable::InDoubt`]).
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// A field's content is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The thing to be changed, or one that the change names, does not exist.
    #[error("there is no {what} {name:?}")]
    Unknown {
        /// `tier`, `tier with the id`, `key`, `consumer` or `scope`.
        what: &'static str,
        /// As the caller named it.
        name: String,
    },
    /// The name is taken.
    #[error("there is already a {what} named {name:?}")]
    NameTaken {
        /// `tier` or `consumer`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The tier holds keys.
    #[error("the tier {name:?} holds {keys} keys")]
    TierInUse {
        /// The tier's name.
        name: String,
        /// How many keys it holds.
        keys: usize,
    },
    /// The store could not make the change.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
