//! What can go wrong in the store, grouped by what the caller has to do about it. Messages name files, tables and
//! keys, and hold no value.

use std::io;
use std::path::PathBuf;

use keypool_core::GrantId;

use crate::driver::DriverError;

/// A read failed, or is why a write did.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be read.
    #[error("the database could not be read")]
    Read(#[source] DriverError),
    /// The database could not be written.
    #[error("the database could not be written")]
    Write(#[source] DriverError),
    /// Too many long searches are under way; this one was not begun, or not gone on with.
    #[error("too many long searches through the usage events are under way")]
    Crowded,
    /// A batch's events and charges do not add up; it was not sent.
    #[error(
        "a batch of {events} draws charges {rates} to rate limits and {budgets} to budgets; nothing was written"
    )]
    Uneven {
        /// How many events it holds.
        events: usize,
        /// What its rate charges amount to.
        rates: i64,
        /// What its budget charges amount to.
        budgets: i64,
    },
}

/// A write was not done, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The pool's revision is another: someone else changed it. Nothing was written.
    #[error("the pool was changed by someone else meanwhile; nothing was written")]
    Stale,
    /// A draw does not fit the database's own limits. Nothing was written.
    #[error("a limit does not allow it, as the database has it; nothing was written")]
    Spent,
    /// The time of sending is off the database's clock, or the batch was too long on its way. Nothing was written.
    #[error("the time of sending is too far off the database's clock; nothing was written")]
    Clock,
    /// Another replica has this one's number by now. Nothing was written.
    #[error("the replica's number is no longer its own; nothing was written")]
    Fenced,
    /// A newer keypooler has brought the database to its schema. Nothing was written.
    #[error(
        "the database was brought to a newer schema by a newer keypooler, which this one cannot write to; nothing was written"
    )]
    Upgraded,
    /// An earlier try of the same draws had come through for these grants and no others; nothing more was written.
    #[error("some of the grants were on record already; nothing more was written")]
    Partly(Vec<GrantId>),
    /// It is known that nothing was written.
    #[error("nothing was written")]
    Failed(#[source] StoreError),
    /// It may have been written or not.
    #[error("it cannot be known whether it was written")]
    InDoubt(#[source] StoreError),
}

/// A database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The folder cannot be made.
    #[error("the folder for the database {path} cannot be made")]
    Folder {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made or found.
    #[error("the database file {path} cannot be opened")]
    File {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder or a device stands where the file should be.
    #[error("{path} is not a file, so it cannot be the database")]
    NotAFile {
        /// What was named as the database file.
        path: PathBuf,
    },
    /// The file stands under several names, so that a lock beside one of them does not keep others off.
    #[error(
        "the database {path} has {links} names (hard links): another keypooler could serve it under another of them; leave it one"
    )]
    Linked {
        /// The database file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// Another server has the lock.
    #[error(
        "another keypooler is serving the database {path}: stop it, or give this one another file"
    )]
    Served {
        /// The database file.
        path: PathBuf,
    },
    /// The lock file cannot be made or locked.
    #[error("the lock file {path}.lock cannot be taken")]
    Lock {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is not a SQLite database; it was left as it is")]
    NotADatabase {
        /// The database file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error(
        "the database {path} is damaged and was left as it is: {finding}; restore a copy of it"
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite found.
        finding: String,
    },
    /// A copy into the database was not finished.
    #[error(
        "the database {path} was to hold a copy of another, which was not finished: copy into it again, or drop it"
    )]
    Unfinished {
        /// The database file, or where the database is.
        path: PathBuf,
    },
    /// A SQLite database, but not of ours or of the Go program's.
    #[error("{path} is not a database of keypooler and was left as it is: {why}")]
    Unknown {
        /// The database file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A later version made it.
    #[error(
        "the database {path} was made by a newer keypooler (schema version {found}; this one knows {known}) and was \
         left as it is: start that version"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// There is no file.
    #[error("there is no database {path}")]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// It is not at this version's schema, which a guest does not bring it to.
    #[error(
        "the database {path} has schema version {found}, not {known}: start this version's server on it, or run \
         keypooler migrate, and then this again"
    )]
    Older {
        /// The database file, or where the database is.
        path: PathBuf,
        /// Its schema version; 0 where it is empty.
        found: i64,
        /// The version that is needed.
        known: i64,
    },
    /// A moment in a version 1 database that decides about grants cannot be read.
    #[error(
        "the database {path} was left as it is: {column} of key {name:?} (id {key}) holds no moment that can be read; \
         correct or clear it with the program that wrote it, then start again"
    )]
    Moment {
        /// The database file.
        path: PathBuf,
        /// The key's id.
        key: String,
        /// The key's name.
        name: String,
        /// The column that holds it.
        column: String,
    },
    /// The file could not be read or set up.
    #[error("the database {path} could not be opened")]
    Access {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: DriverError,
    },
    /// The copy that an upgrade starts with could not be written.
    #[error("the copy {copy} could not be written, so the database {path} was not upgraded")]
    Backup {
        /// The database file.
        path: PathBuf,
        /// The copy.
        copy: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A migration failed and was undone.
    #[error(
        "the database {path} could not be brought to schema version {version}; it stays at the one before"
    )]
    Migration {
        /// The database file.
        path: PathBuf,
        /// The version that it should have reached.
        version: i64,
        /// Why.
        source: DriverError,
    },
    /// The upgrade is done, its end is not: it is tried again at the next start.
    #[error(
        "the database {path} was upgraded, but could not be rebuilt without what the upgrade left behind; \
         the next start tries again"
    )]
    Tidy {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: DriverError,
    },
}

impl StoreError {
    /// Whether a shared database does not hold what was asked for: it may have been brought to another schema since it was
    /// looked at.
    #[must_use]
    pub fn is_of_another_schema(&self) -> bool {
        matches!(self, StoreError::Read(DriverError::Rejected { .. }))
    }
}

impl OpenStoreError {
    /// The same for a database that was being opened.
    #[must_use]
    pub fn is_of_another_schema(&self) -> bool {
        matches!(self, OpenStoreError::Access { source: DriverError::Rejected { .. }, .. })
    }
}
