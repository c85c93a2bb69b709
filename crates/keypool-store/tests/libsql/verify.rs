//! A database on a server is looked at check by check.

use keypool_store::{Check, verify};

use crate::server::Server;
use crate::support::{batch, draw, grant, seed};

#[tokio::test]
async fn a_sound_database_is_found_sound_and_another_not() {
    let server = Server::start().await;
    let store = server.open().await;
    seed(&store).await;
    store.commit_draws(&batch(5, &[draw(1, grant(0, 0)), draw(1, grant(1, 0))])).await.unwrap();

    let mut looked_at = Vec::new();
    let found = verify(server.settings(), |check| looked_at.push(check)).await.unwrap();
    assert_eq!((found.findings, found.skipped), (vec![], vec![]));
    assert_eq!(looked_at, Check::ALL[1..]);
    assert_eq!(found.rows.unwrap().usage_events, 2);
    assert_eq!(found.values.len(), 3);

    crate::support::run(&server.path(), "UPDATE budget_counters SET used = 5 WHERE key_no = 1")
        .await;
    let found = verify(server.settings(), |_| {}).await.unwrap();
    let checks: Vec<Check> = found.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, [Check::Counters]);
}
