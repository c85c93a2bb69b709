//! Writes what a database file holds, as of one moment, into a file of its own: whole, compact, with no journal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::driver::{DriverError, Statement};
use crate::sqlite::connection::Connection;

/// Writes into a new file, readable by its owner alone, with SQLite's `VACUUM INTO`: one reading transaction, beside which
/// others write. Rows keep their numbers; the journal's mode is not copied, a server sets it when it opens the file.
pub(crate) async fn write_compact(
    connection: &mut Connection,
    to: &Path,
) -> Result<(), DriverError> {
    // SQLite writes into an empty file and leaves its mode alone.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    made.map_err(|error| DriverError::Broken(Box::new(error)))?;
    // `query_only` forbids this one too, though it writes nothing but the copy.
    connection.bare("PRAGMA query_only = OFF").await?;
    let target = to.to_string_lossy().into_owned();
    let written = connection.read(Statement::new("VACUUM INTO ?1").with(target)).await;
    connection.bare("PRAGMA query_only = ON").await?;
    written.map(drop)
}

/// Waits until a file is on the disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Waits until a file's name is on the disk.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        // The working folder.
        Some(folder) if folder.as_os_str().is_empty() => sync(Path::new(".")),
        Some(folder) => sync(folder),
        None => Ok(()),
    }
}
