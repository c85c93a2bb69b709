//! The audit: newest first, by key, page by page, under the names of what is gone.

use keypool_core::{ConsumerNo, KeyNo};
use keypool_store::{ChangeKind, UsageQuery};

use crate::support::{Draw, NOON, batch, change, draw, grant, seeded};

fn query(limit: u32) -> UsageQuery {
    UsageQuery { limit, ..UsageQuery::default() }
}

#[tokio::test]
async fn events_are_listed_newest_first_with_all_names() {
    let fresh = seeded().await;
    let by_bot = Draw { consumer: 1, feature: 1, ..draw(2, grant(7, 3)) };
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0)), by_bot])).await.unwrap();
    let listed = fresh.store.list_usage(&query(100)).await.unwrap();
    let texts: Vec<_> = listed
        .iter()
        .map(|row| {
            let after = row.at.as_millis() - NOON;
            (
                row.key_id.as_str(),
                row.key_name.as_str(),
                row.consumer_id.as_str(),
                row.consumer_name.as_str(),
                row.feature.as_str(),
                after,
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            ("key-2", "name of 2", "consumer-1", "bot", "search", 7),
            ("key-1", "name of 1", "admin", "admin", "scrape", 1),
        ]
    );
    assert_eq!(listed[0].id, grant(7, 3));
}

#[tokio::test]
async fn pages_go_on_before_an_event_and_keep_to_a_key() {
    let fresh = seeded().await;
    let draws: Vec<_> = (0..10).map(|n| draw(1 + n % 2, grant(n, 0))).collect();
    fresh.store.commit_draws(&batch(5, &draws[..7])).await.unwrap();
    let ids = |rows: Vec<keypool_store::UsageRow>| {
        rows.into_iter().map(|row| row.at.as_millis() - NOON).collect::<Vec<_>>()
    };
    let list = async |query| ids(fresh.store.list_usage(&query).await.unwrap());
    assert_eq!(list(query(3)).await, [6, 5, 4]);
    assert_eq!(list(UsageQuery { before: Some(grant(4, 0)), ..query(3) }).await, [3, 2, 1]);
    let of_key = |before| UsageQuery { key: Some("key-1".to_owned()), before, ..query(2) };
    assert_eq!(list(of_key(None)).await, [6, 4]);
    assert_eq!(list(of_key(Some(grant(4, 0)))).await, [2, 0]);
    assert_eq!(list(UsageQuery { key: Some("nobody".to_owned()), ..query(2) }).await, [0_i64; 0]);
    assert_eq!(list(query(0)).await, [0_i64; 0]);
}

#[tokio::test]
async fn events_of_a_deleted_key_and_consumer_keep_their_names() {
    let fresh = seeded().await;
    fresh
        .store
        .commit_draws(&batch(5, &[Draw { consumer: 1, ..draw(1, grant(1, 0)) }]))
        .await
        .unwrap();
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(1))).await;
    change(&fresh.store, 6, ChangeKind::DeleteConsumer(ConsumerNo::new(1))).await;
    let listed = fresh
        .store
        .list_usage(&UsageQuery { key: Some("key-1".to_owned()), ..query(9) })
        .await
        .unwrap();
    assert_eq!(
        (listed[0].key_name.as_str(), listed[0].consumer_name.as_str()),
        ("name of 1", "bot")
    );
    assert_eq!(listed[0].consumer_id, "consumer-1");
}
