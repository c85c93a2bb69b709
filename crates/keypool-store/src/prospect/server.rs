//! A database on a libSQL server before it is opened: called, looked at, unchanged. There is no lock: replicas share it.

use std::path::PathBuf;
use std::time::Duration;

use keypool_core::Timestamp;

use crate::driver::{Driver, DriverError, Row, Statement};
use crate::error::OpenStoreError;
use crate::libsql::{Libsql, LibsqlSettings};
#[cfg(feature = "simulation")]
use crate::simulated::{Simulated, SimulatedSettings};

/// A database on a server that is looked at.
pub(crate) struct ServerProspect {
    place: PathBuf,
    driver: Driver,
    clock_leeway: Option<Duration>,
}

/// Prepares to call the server.
pub(super) async fn call(settings: LibsqlSettings) -> Result<ServerProspect, OpenStoreError> {
    let place = PathBuf::from(settings.url.to_string());
    match Libsql::new(&settings).await {
        Ok(driver) => {
            let driver = Driver::Libsql(driver);
            Ok(ServerProspect { place, driver, clock_leeway: settings.clock_leeway })
        }
        Err(source) => Err(OpenStoreError::Access { path: place, source }),
    }
}

/// Prepares to call one that is simulated.
#[cfg(feature = "simulation")]
pub(super) fn call_simulated(settings: SimulatedSettings) -> ServerProspect {
    ServerProspect {
        place: settings.place(),
        clock_leeway: settings.clock_leeway,
        driver: Driver::Simulated(Simulated::new(settings)),
    }
}

impl ServerProspect {
    pub(super) async fn read(&self, statement: Statement) -> Result<Vec<Row>, DriverError> {
        self.driver.read(statement).await
    }

    /// The database's own clock.
    pub(super) async fn clock(&self) -> Result<Timestamp, DriverError> {
        let clock = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)";
        let mut rows = self.driver.read(Statement::new(clock)).await?;
        let broken_off = || DriverError::Unanswered("a list broke off".to_owned());
        rows.first_mut().ok_or_else(broken_off)?.int().map(Timestamp::from_millis)
    }

    /// Where the database is, without the token.
    pub(super) fn place(&self) -> PathBuf {
        self.place.clone()
    }

    pub(super) fn clock_leeway(&self) -> Option<Duration> {
        self.clock_leeway
    }

    pub(super) async fn close(self) {
        self.driver.close().await;
    }

    /// The way to use it: the one that it was looked at by.
    pub(super) fn open_for_use(self) -> Driver {
        self.driver
    }
}
