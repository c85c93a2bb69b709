//! When consumers were granted a key last, as servers note it now and then.

use keypool_core::{ConsumerNo, GrantId};

use crate::change::json_in_parts;
use crate::driver::{Driver, DriverError, Statement};

pub(crate) async fn list_uses(driver: &Driver) -> Result<Vec<(ConsumerNo, GrantId)>, DriverError> {
    let all = Statement::new("SELECT consumer_no, last_event FROM consumer_uses");
    let rows = driver.read(all).await?;
    rows.into_iter()
        .map(|mut row| Ok((ConsumerNo::new(row.int()?), GrantId::new(row.int()?))))
        .collect()
}

/// The newest stays, whoever notes it.
pub(crate) fn statements(uses: &[(ConsumerNo, GrantId)]) -> Vec<Statement> {
    let sql = "INSERT INTO consumer_uses (consumer_no, last_event)
        SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE 1
        ON CONFLICT (consumer_no) DO UPDATE SET last_event = max(last_event, excluded.last_event)";
    let rows = uses.iter().map(|(consumer, grant)| (consumer.get(), grant.get()));
    let part = |(rows, _): (String, usize)| Statement::new(sql).with(rows);
    json_in_parts(rows).into_iter().map(part).collect()
}
