//! How much room a database file takes.

use std::fs;
use std::io;
use std::path::Path;

use crate::driver::{Driver, DriverError, Statement};

/// What lies on the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFigures {
    /// The database file.
    pub file_bytes: u64,
    /// Its journal, not yet folded into the file.
    pub journal_bytes: u64,
    /// Pages of the file that hold nothing and will be used again.
    pub free_bytes: u64,
}

/// `None` where there is no file.
pub(crate) async fn read_file_figures(driver: &Driver) -> Result<Option<FileFigures>, DriverError> {
    let Some(path) = driver.file() else { return Ok(None) };
    let free = Statement::new(
        "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size",
    );
    let mut rows = driver.read(free).await?;
    let free_bytes = rows.first_mut().map_or(Ok(0), |row| row.int())?;
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    Ok(Some(FileFigures {
        file_bytes: size(path).map_err(broken)?,
        journal_bytes: size(Path::new(&journal)).map_err(broken)?,
        free_bytes: u64::try_from(free_bytes).unwrap_or(0),
    }))
}

/// Nothing has no size.
fn size(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn broken(error: io::Error) -> DriverError {
    DriverError::Broken(Box::new(error))
}
