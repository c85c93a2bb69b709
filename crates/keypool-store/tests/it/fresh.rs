//! Databases for the tests, as SQLite files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keypool_store::{Prospect, SqliteSettings, Store, Synchronous, inspect};
use tempfile::TempDir;

pub(crate) use crate::support::{
    rows_of_file as rows, run_on_file as run, try_run_on_file as try_run,
};

/// A store on a database of its own.
pub(crate) struct Fresh {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
}

impl Fresh {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("pool.db")
    }
}

/// An empty store.
pub(crate) async fn empty() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("pool.db")).await;
    Fresh { store, folder }
}

/// The database in a file, looked at.
pub(crate) async fn prospect(path: &Path) -> Prospect {
    inspect(settings(path)).await.unwrap()
}

pub(crate) async fn open(path: &Path) -> Store {
    prospect(path).await.open().await.unwrap()
}

pub(crate) fn settings(path: &Path) -> SqliteSettings {
    SqliteSettings {
        path: path.to_owned(),
        synchronous: Synchronous::Full,
        busy_timeout: Duration::from_millis(50),
    }
}
