//! The copies that the takeover, a restore and commands that were killed leave beside a file, and what values they hold.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::driver::Seat;
use crate::error::{OpenStoreError, StoreError};
use crate::prospect::{Prospect, glance};
use crate::settings::{SqliteSettings, StoreSettings};
use crate::values::StoredValue;
use crate::{backup, restore, takeover_copy};

/// What their names have behind the file's own: a number may follow.
const SUFFIXES: [&str; 2] = [takeover_copy::SUFFIX, restore::ASIDE];
/// A copy's own journals, which are read with it.
const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A copy that lies beside a database.
#[derive(Debug)]
pub struct CopyBeside {
    /// Where.
    pub path: PathBuf,
    /// The values in it.
    pub values: Result<Vec<StoredValue>, CopyBesideError>,
}

/// What is in a copy can't be told.
#[derive(Debug, thiserror::Error)]
pub enum CopyBesideError {
    /// It can't be opened.
    #[error("the copy can't be opened")]
    Open(#[from] OpenStoreError),
    /// It can't be read.
    #[error("the copy can't be read")]
    Read(#[from] StoreError),
}

/// Finds them, finished or not, and reads them. Beside a database on a server there are none.
///
/// # Errors
/// The folder can't be read.
pub async fn copies_beside(settings: &StoreSettings) -> io::Result<Vec<CopyBeside>> {
    let Some(file) = settings.file() else { return Ok(Vec::new()) };
    let mut copies = Vec::new();
    for path in paths(&file.path)? {
        let values = values(SqliteSettings { path: path.clone(), ..file.clone() }).await;
        copies.push(CopyBeside { path, values });
    }
    Ok(copies)
}

fn paths(database: &Path) -> io::Result<Vec<PathBuf>> {
    let database = fs::canonicalize(database)?;
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
        return Ok(Vec::new());
    };
    let is_copy = |other: &OsStr| {
        let behind = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let has =
            |suffix: &&str| behind.is_some_and(|behind| behind.starts_with(suffix.as_bytes()));
        let is_journal = |suffix: &&str| other.as_encoded_bytes().ends_with(suffix.as_bytes());
        let is_copy = SUFFIXES.iter().any(has) && !JOURNALS.iter().any(is_journal);
        // What a command that was killed has left: a whole pool, or a part of one.
        is_copy || other.as_encoded_bytes().starts_with(backup::UNFINISHED.as_bytes())
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_copy(&entry.file_name()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

async fn values(copy: SqliteSettings) -> Result<Vec<StoredValue>, CopyBesideError> {
    let Some((source, shape)) = glance(copy.into()).await? else { return Ok(Vec::new()) };
    let mut prospect = Prospect { source, shape, seat: Seat::Guest };
    let values = all(&mut prospect).await;
    prospect.into_source().close().await;
    Ok(values?)
}

async fn all(prospect: &mut Prospect) -> Result<Vec<StoredValue>, StoreError> {
    let mut values = prospect.values().await?;
    values.extend(prospect.orphaned_values().await?);
    Ok(values)
}
