//! Databases for the tests, behind a libSQL server that is started for each: the file can be looked at past it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use keypool_store::{DatabaseUrl, LibsqlSettings, Prospect, Store, inspect};
use keypool_test_server::{ServerSettings, TestServer};
use tempfile::TempDir;

/// Servers live as long as the runtimes that they were started on.
static SERVERS: Mutex<Vec<TestServer>> = Mutex::new(Vec::new());

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

/// The database in a file, looked at through a server of its own.
pub(crate) async fn prospect(path: &Path) -> Prospect {
    let server = TestServer::start(ServerSettings::at(path)).await.unwrap();
    let prospect = inspect(settings_of(&server.url())).await.unwrap();
    SERVERS.lock().unwrap().push(server);
    prospect
}

pub(crate) async fn open(path: &Path) -> Store {
    prospect(path).await.open().await.unwrap()
}

/// How a server is called; a batch's time of sending is not judged.
pub(crate) fn settings_of(url: &str) -> LibsqlSettings {
    let (url, auth_token) = DatabaseUrl::parse(url).unwrap();
    LibsqlSettings {
        url,
        auth_token,
        ca_file: None,
        connections: NonZeroUsize::new(4).unwrap(),
        deadline: Duration::from_secs(5),
        clock_leeway: None,
    }
}
