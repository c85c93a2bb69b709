//! A test server on a database of its own, and stores that call it.

use std::path::PathBuf;
use std::time::Duration;

use keypool_store::{LibsqlSettings, OpenStoreError, Prospect, Store, inspect};
use keypool_test_server::{Counts, Faults, ServerSettings, TestServer};
use tempfile::TempDir;

use crate::fresh::settings_of;

pub(crate) struct Server {
    pub(crate) server: TestServer,
    folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_with(|settings| settings).await
    }

    pub(crate) async fn start_with(
        adjust: impl FnOnce(ServerSettings) -> ServerSettings,
    ) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let settings = adjust(ServerSettings::at(folder.path().join("pool.db")));
        Server { server: TestServer::start(settings).await.unwrap(), folder }
    }

    /// The file behind it.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("pool.db")
    }

    pub(crate) fn faults(&self) -> Faults {
        self.server.faults()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.server.counts()
    }

    pub(crate) fn settings(&self) -> LibsqlSettings {
        settings_of(&self.server.url())
    }

    pub(crate) async fn inspect(
        &self,
        adjust: impl FnOnce(LibsqlSettings) -> LibsqlSettings,
    ) -> Result<Prospect, OpenStoreError> {
        inspect(adjust(self.settings())).await
    }

    pub(crate) async fn open(&self) -> Store {
        self.open_with(|settings| settings).await
    }

    pub(crate) async fn open_with(
        &self,
        adjust: impl FnOnce(LibsqlSettings) -> LibsqlSettings,
    ) -> Store {
        self.inspect(adjust).await.unwrap().open().await.unwrap()
    }
}

/// Not to wait long for an answer.
pub(crate) fn hasty(settings: LibsqlSettings) -> LibsqlSettings {
    LibsqlSettings { deadline: Duration::from_millis(400), ..settings }
}
