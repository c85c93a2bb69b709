//! The copy of a version 1 database that is written beside it before the takeover.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::driver::{DriverError, Statement};
use crate::error::OpenStoreError;
use crate::sqlite::connection::Connection;
use crate::sqlite::lock::beside;

/// Writes `<database>.v1.bak`, or the next free number behind it, readable by its owner alone. It is there whole or not
/// at all: it gets its name when it is on the disk.
pub(crate) async fn write_copy(
    path: &Path,
    connection: &mut Connection,
) -> Result<PathBuf, OpenStoreError> {
    let copy = free_name(path);
    let unfinished = beside(path, ".v1.bak.unfinished");
    let failed =
        |source| OpenStoreError::Backup { path: path.to_owned(), copy: copy.clone(), source };
    empty_file(&unfinished).map_err(failed)?;
    let target = unfinished.to_string_lossy().into_owned();
    let written = vacuum_into(connection, target).await;
    if let Err(error) = written {
        // The database is as it was; what is left of the copy is only in the way.
        let _ = fs::remove_file(&unfinished);
        return Err(failed(io::Error::other(error)));
    }
    settle(&unfinished, &copy).map_err(failed)?;
    Ok(copy)
}

/// `query_only` forbids this one too, though it writes nothing but the copy.
async fn vacuum_into(connection: &mut Connection, target: String) -> Result<(), DriverError> {
    connection.bare("PRAGMA query_only = OFF").await?;
    connection.read(Statement::new("VACUUM INTO ?1").with(target)).await.map(drop)
}

fn free_name(path: &Path) -> PathBuf {
    let first = beside(path, ".v1.bak");
    if !first.exists() {
        return first;
    }
    (2_u32..)
        .map(|number| beside(path, &format!(".v1.bak.{number}")))
        .find(|name| !name.exists())
        .unwrap_or(first)
}

/// SQLite writes a copy into an empty file and leaves its mode alone.
fn empty_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn settle(unfinished: &Path, copy: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, copy)?;
    match copy.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
