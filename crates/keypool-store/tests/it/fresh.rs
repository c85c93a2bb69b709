//! Databases for the tests, as SQLite files.

use std::path::{Path, PathBuf};

use keypool_store::{Prospect, Store, inspect};
use tempfile::TempDir;

use crate::support::settings;

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
