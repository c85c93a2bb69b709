//! Leaves nothing of what was replaced in a file: tables are written anew and the journal is cut off, beside whoever serves
//! it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::Connection;
use crate::driver::{DriverError, Row, Statement};

/// The journal can't be cut off while somebody reads: so long is it tried.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Does it. The connection has to be closed afterwards, whatever came of it: its settings are no longer those of a writer.
pub(super) async fn wipe(
    connection: &mut Connection,
    tables: &[&'static str],
) -> Result<(), DriverError> {
    // Rows come back under the numbers that they had. With foreign keys on, each that goes would be looked for in the usage
    // events.
    connection.bare("PRAGMA foreign_keys = OFF").await?;
    for text in tables {
        connection.script(text).await?;
    }
    // While it waits for a reader, a checkpoint keeps writers waiting: not for long, then. Most of it is done beforehand.
    connection.bare("PRAGMA busy_timeout = 50").await?;
    connection.read(Statement::new("PRAGMA wal_checkpoint(PASSIVE)")).await?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let checkpoint = Statement::new("PRAGMA wal_checkpoint(TRUNCATE)");
        let mut rows = connection.read(checkpoint).await?;
        // The first column says whether somebody was in the way.
        if rows.first_mut().map(Row::int).transpose()? == Some(0) {
            return Ok(());
        }
        sleep(BETWEEN_TRIES).await;
    }
    Err(DriverError::Busy)
}
