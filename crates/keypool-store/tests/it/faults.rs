//! What goes wrong around a write: another process, a caller that goes away, a store that was closed.

use std::error::Error;

use keypool_store::{ChangeKind, DriverError, StoreError, WriteError};

use crate::support::{at_noon, batch, change, consumer, draw, grant, key, raw, seeded};

#[tokio::test]
async fn a_file_that_another_process_holds_locked_fails_the_write_and_uses_up_nothing() {
    let fresh = seeded().await;
    let mut other = raw(&fresh.path()).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refused = fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, WriteError::Failed(StoreError::Write(DriverError::Busy))), "{error:?}");
    let cause = error.source().and_then(Error::source).unwrap().to_string();
    assert!(cause.starts_with("another process holds the database locked"), "{cause}");
    let refused = fresh.store.change(&at_noon(5, ChangeKind::AddKeys(vec![key(4)]))).await;
    assert!(matches!(refused, Err(WriteError::Failed(StoreError::Write(DriverError::Busy)))));
    assert_eq!(fresh.store.revision().await.unwrap(), 5, "reads go on");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    fresh.store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
    change(&fresh.store, 5, ChangeKind::AddKeys(vec![key(4)])).await;
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn a_change_whose_caller_went_away_is_done_whole() {
    let fresh = seeded().await;
    for round in 0..20 {
        let abandoned = at_noon(
            5 + 2 * round,
            ChangeKind::AddKeys((0..50).map(|n| key(100 + 50 * round + n)).collect()),
        );
        tokio::select! {
            biased;
            _ = fresh.store.change(&abandoned) => unreachable!("a write takes more than one poll"),
            () = tokio::task::yield_now() => {}
        }
        let name = format!("after {round}");
        let next =
            at_noon(6 + 2 * round, ChangeKind::AddConsumer(consumer(10 + round, &name, &[])));
        fresh.store.change(&next).await.unwrap();
    }
    let snapshot = fresh.store.load().await.unwrap();
    assert_eq!((snapshot.revision, snapshot.keys.len()), (45, 3 + 20 * 50));
}

#[tokio::test]
async fn a_draw_whose_caller_went_away_is_on_record_or_not_but_never_half() {
    let fresh = seeded().await;
    for round in 0..20 {
        let abandoned = batch(5, &[draw(1, grant(round, 0)), draw(1, grant(round, 1))]);
        tokio::select! {
            biased;
            _ = fresh.store.commit_draws(&abandoned) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    fresh.store.commit_draws(&batch(5, &[])).await.unwrap();
    assert_eq!(fresh.store.load().await.unwrap().keys[0].usage_count, 40);
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_store_refuses_and_closing_twice_is_harmless() {
    let fresh = seeded().await;
    let clone = fresh.store.clone();
    fresh.store.close().await;
    clone.close().await;
    assert!(matches!(clone.load().await, Err(StoreError::Read(DriverError::Closed))));
    let refused = clone.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(
        matches!(refused, Err(WriteError::Failed(_))),
        "nothing was sent, so nothing is in doubt"
    );
    let left: Vec<_> = std::fs::read_dir(fresh.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "the journal is folded in: {left:?}");
}

#[tokio::test]
async fn a_counter_that_is_off_by_one_is_found() {
    let fresh = seeded().await;
    fresh
        .store
        .commit_draws(&batch(5, &[draw(1, grant(1, 0)), draw(2, grant(1, 1))]))
        .await
        .unwrap();
    let off = "UPDATE budget_counters SET used = used + 1 WHERE key_no = 1;
        UPDATE rate_counters SET used = used - 1 WHERE key_no = 2;
        DELETE FROM budget_counters WHERE key_no = 3";
    crate::support::run(&fresh.path(), off).await;
    let found = fresh.store.check_counters().await.unwrap();
    let texts: Vec<_> = found
        .iter()
        .map(|m| (m.key_id.as_str(), m.feature.as_deref(), m.recorded, m.counted))
        .collect();
    let expected = [
        ("key-1", None, Some(2), 1),
        ("key-2", Some("scrape"), Some(0), 1),
        ("key-3", None, None, 0),
    ];
    assert_eq!(texts, expected);
}
