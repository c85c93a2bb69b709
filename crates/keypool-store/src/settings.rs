//! What a store needs to be told: where the file is and how it is kept.

use std::path::PathBuf;
use std::time::Duration;

/// How a store on a SQLite file is opened.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The database file; its folder is made if missing.
    pub path: PathBuf,
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// How long to wait for another process that holds the file locked.
    pub busy_timeout: Duration,
}

/// What a commit waits for, SQLite's `synchronous` (<https://sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: what was committed is there after a power cut.
    Full,
    /// The operating system: a power cut may take the latest commits, a killed process does not.
    Normal,
}
