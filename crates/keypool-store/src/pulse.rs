//! Where a shared database is, in a few numbers: what a replica asks for again and again.

use keypool_core::{GrantId, Timestamp};

use crate::driver::{Driver, DriverError, Statement};

/// The state of the database at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The pool's revision.
    pub revision: i64,
    /// The newest usage event.
    pub latest_grant: Option<GrantId>,
    /// The database's clock.
    pub now: Timestamp,
    /// Whether its schema is the one that this program knows.
    pub is_known_schema: bool,
}

const PULSE: &str = "
    SELECT revision, (SELECT max(id) FROM usage_events),
        CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER),
        (SELECT max(version) FROM schema_migrations)
    FROM pool";

pub(crate) async fn read_pulse(driver: &Driver) -> Result<Pulse, DriverError> {
    let mut rows = driver.read(Statement::new(PULSE)).await?;
    let broken_off = || DriverError::Unanswered("a list broke off".to_owned());
    let row = rows.first_mut().ok_or_else(broken_off)?;
    Ok(Pulse {
        revision: row.int()?,
        latest_grant: row.int_or_null()?.map(GrantId::new),
        now: Timestamp::from_millis(row.int()?),
        is_known_schema: row.int()? == crate::migrate::NEWEST,
    })
}
