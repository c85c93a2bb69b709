//! The copy of a version 1 database that is written beside it before the takeover.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::compact::{sync, sync_folder_of, write_compact};
use crate::error::OpenStoreError;
use crate::sqlite::connection::Connection;
use crate::sqlite::lock::{beside, free_name};

/// What the copy has behind the database's name.
pub(crate) const SUFFIX: &str = ".v1.bak";

/// Writes `<database>.v1.bak`, or the next free number behind it, readable by its owner alone. It is there whole or not
/// at all: it gets its name when it is on the disk.
pub(crate) async fn write_copy(
    path: &Path,
    connection: &mut Connection,
) -> Result<PathBuf, OpenStoreError> {
    let copy = free_name(path, SUFFIX);
    let unfinished = beside(path, ".v1.bak.unfinished");
    let failed =
        |source| OpenStoreError::Backup { path: path.to_owned(), copy: copy.clone(), source };
    let written = match remove_left_over(&unfinished) {
        Ok(()) => write_compact(connection, &unfinished).await,
        Err(error) => return Err(failed(error)),
    };
    if let Err(error) = written {
        // The database is as it was; what is left of the copy is only in the way.
        let _ = fs::remove_file(&unfinished);
        return Err(failed(io::Error::other(error)));
    }
    settle(&unfinished, &copy).map_err(failed)?;
    Ok(copy)
}

fn remove_left_over(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn settle(unfinished: &Path, copy: &Path) -> io::Result<()> {
    sync(unfinished)?;
    fs::rename(unfinished, copy)?;
    sync_folder_of(copy)
}
