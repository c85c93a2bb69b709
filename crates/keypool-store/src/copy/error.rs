//! Why a pool was not copied. Messages name places, tables and what to do, and hold no value of a row.

use std::path::PathBuf;

use crate::driver::DriverError;
use crate::error::OpenStoreError;

/// A pool was not copied; its source is as it was. A destination that was begun cannot be opened until a copy into it is
/// finished.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Source and destination are one.
    #[error("{place} cannot be copied into itself")]
    Same {
        /// Where it is.
        place: PathBuf,
    },
    /// There is nothing to copy.
    #[error("there is no pool in {place} to copy")]
    Nothing {
        /// The source.
        place: PathBuf,
    },
    /// The source was not opened.
    #[error("the pool to copy was not opened")]
    From(#[source] OpenStoreError),
    /// The destination was not opened.
    #[error("the database to copy to was not opened")]
    To(#[source] OpenStoreError),
    /// The source has another schema than this program's.
    #[error(
        "{place} has schema version {found}, and only {known} can be copied: start the server on it, or run `keypooler \
         migrate`, then copy"
    )]
    Schema {
        /// The source.
        place: PathBuf,
        /// Its schema version.
        found: u32,
        /// The schema version that this program knows.
        known: i64,
    },
    /// The source is itself a copy that was not finished.
    #[error("{place} holds a copy that was not finished: copy from where that came from")]
    Unfinished {
        /// The source.
        place: PathBuf,
    },
    /// The destination holds something.
    #[error("{place} holds something already and was left as it is: copy to an empty place")]
    Taken {
        /// The destination.
        place: PathBuf,
    },
    /// A database could not be read.
    #[error("{place} could not be read")]
    Read {
        /// Which of the two.
        place: PathBuf,
        /// Why.
        source: DriverError,
    },
    /// The destination could not be written.
    #[error("{place} could not be written, and its copy is not finished: copy again")]
    Write {
        /// The destination.
        place: PathBuf,
        /// Why.
        source: DriverError,
    },
    /// Another copy into the same destination was begun.
    #[error("another copy into {place} was begun meanwhile, and this one was given up")]
    Overtaken {
        /// The destination.
        place: PathBuf,
    },
    /// The source was changed meanwhile.
    #[error(
        "a server still writes to {place}: the copy is not finished; stop every server on it, then copy again"
    )]
    Moved {
        /// The source.
        place: PathBuf,
    },
    /// The destination has not got what was written to it.
    #[error("the copy differs from its source in table {table}, and is not finished: copy again")]
    Different {
        /// The table.
        table: &'static str,
    },
    /// Counters are not what their events say; the copy has them as they are in the source.
    #[error(
        "{count} counters are not what the usage events amount to (the first is of key {key}); the copy has them as its \
         source does, and is not finished"
    )]
    Counters {
        /// How many.
        count: usize,
        /// The UUID of the first one's key.
        key: String,
    },
}
