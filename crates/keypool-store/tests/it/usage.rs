//! The audit: newest first, by key, page by page, under the names of what is gone.

use keypool_core::{ConsumerNo, KeyNo, Timestamp};
use keypool_store::{ChangeKind, GroupBy, Store, Summary, SummaryQuery, UsageQuery};

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

/// A store with nine events in the first milliseconds after noon: of keys 1 and 2 in turn, every third by the consumer
/// for `search`, the others by the admin for `scrape`.
async fn nine() -> crate::support::Fresh {
    let fresh = seeded().await;
    let one = |n: i64| {
        let scrape = draw(1 + n % 2, grant(n, 0));
        if n % 3 == 0 { Draw { consumer: 1, feature: 1, ..scrape } } else { scrape }
    };
    // Key 2 has a budget of 4.
    let draws: Vec<_> = (0..9).map(one).collect();
    fresh.store.commit_draws(&batch(5, &draws)).await.unwrap();
    fresh
}

#[tokio::test]
async fn events_are_filtered_by_all_that_is_given() {
    let fresh = nine().await;
    let list = async |query: UsageQuery| {
        let rows = fresh.store.list_usage(&query).await.unwrap();
        rows.into_iter().map(|row| row.at.as_millis() - NOON).collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    let at = |after| Some(Timestamp::from_millis(NOON + after));
    let by_bot = UsageQuery { consumer: text("consumer-1"), ..query(9) };
    assert_eq!(list(by_bot.clone()).await, [6, 3, 0]);
    assert_eq!(list(UsageQuery { key: text("key-1"), ..by_bot.clone() }).await, [6, 0]);
    assert_eq!(list(UsageQuery { feature: text("scrape"), ..by_bot }).await, [0_i64; 0]);
    let by_admin = UsageQuery { consumer: text("admin"), ..query(2) };
    assert_eq!(list(by_admin.clone()).await, [8, 7]);
    let before = Some(grant(7, 0));
    assert_eq!(list(UsageQuery { before, feature: text("scrape"), ..by_admin }).await, [5, 4]);
    assert_eq!(list(UsageQuery { since: at(3), until: at(5), ..query(9) }).await, [4, 3]);
    let of_two = UsageQuery { key: text("key-2"), until: at(5), ..query(9) };
    assert_eq!(list(UsageQuery { since: at(2), ..of_two }).await, [3]);
    for nobody in ["nobody", ""] {
        assert_eq!(list(UsageQuery { consumer: text(nobody), ..query(9) }).await, [0_i64; 0]);
        assert_eq!(list(UsageQuery { feature: text(nobody), ..query(9) }).await, [0_i64; 0]);
    }
}

async fn groups(store: &Store, by: &[GroupBy]) -> Vec<String> {
    let query = SummaryQuery { by: by.to_vec(), ..SummaryQuery::default() };
    let Summary::Groups(rows) = store.summarise_usage(&query).await.unwrap() else {
        panic!("they are few");
    };
    let name = |named: Option<keypool_store::Named>| named.map(|named| named.name);
    rows.into_iter()
        .map(|row| {
            let day = row.day.map(|day| day.as_millis().to_string());
            let parts = [name(row.key), name(row.consumer), row.feature, day];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{} {}", parts.join(" "), row.grants)
        })
        .collect()
}

#[tokio::test]
async fn grants_are_counted_by_what_is_asked_for() {
    use GroupBy::{Consumer, Day, Feature, Key};
    let fresh = nine().await;
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(1))).await;
    assert_eq!(groups(&fresh.store, &[]).await, [" 9"]);
    assert_eq!(groups(&fresh.store, &[Key]).await, ["name of 1 5", "name of 2 4"]);
    assert_eq!(
        groups(&fresh.store, &[Feature, Consumer]).await,
        ["admin scrape 6", "bot search 3"]
    );
    let midnight = NOON - NOON % 86_400_000;
    assert_eq!(groups(&fresh.store, &[Day]).await, [format!("{midnight} 9")]);
    assert_eq!(groups(&seeded().await.store, &[Key]).await, [""; 0]);
}
