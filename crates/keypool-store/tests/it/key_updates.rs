//! A key that is changed: what is given is replaced, the rest stays, and its counters go on as promise 3 wants it.

use keypool_core::{KeyNo, TierNo, Timestamp};
use keypool_store::{Balance, Change, ChangeKind, KeyRow, KeyUpdate, NewKey, Store, WriteError};

use crate::support::{
    Draw, Fresh, NOON, at_noon, batch, change, draw, dump, empty, grant, key, seeded, tier,
};

/// A change of the key to what it is.
async fn unchanged(store: &Store, no: i64) -> KeyUpdate {
    let key = row(store, no).await;
    KeyUpdate {
        no: key.no,
        name: key.name,
        tier: key.tier,
        value: None,
        active: key.active,
        expires_at: key.expires_at,
        usage_limit: key.usage_limit,
        usage_window_secs: key.usage_window_secs,
        balance: Balance::Kept,
        metadata: None,
        secrets: Vec::new(),
    }
}

async fn row(store: &Store, no: i64) -> KeyRow {
    let keys = store.load().await.unwrap().keys;
    keys.into_iter().find(|row| row.no == KeyNo::new(no)).unwrap()
}

/// Changes a key so many milliseconds after noon.
async fn update(store: &Store, after: i64, key: KeyUpdate) {
    let base = store.revision().await.unwrap();
    let change = at_noon(base, ChangeKind::UpdateKey(Box::new(key)));
    let at = Timestamp::from_millis(NOON + after);
    store.change(&Change { at, ..change }).await.unwrap();
    assert_eq!(store.check_counters().await.unwrap(), [], "counters equal events (promise 3)");
}

#[tokio::test]
async fn what_is_given_is_replaced_and_the_rest_stays() {
    let fresh = seeded().await;
    let secrets = ["a", "b", "c"].map(|name| (name.to_owned(), format!("old {name}")));
    let metadata = r#"{"n":1}"#.to_owned();
    let new = NewKey { secrets: secrets.to_vec(), metadata, ..key(4) };
    change(&fresh.store, 5, ChangeKind::AddKeys(vec![new])).await;
    let before = row(&fresh.store, 4).await;
    update(&fresh.store, 0, unchanged(&fresh.store, 4).await).await;
    assert_eq!(row(&fresh.store, 4).await, before);

    let secret = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let changed = KeyUpdate {
        name: "it's \"another\"".to_owned(),
        tier: TierNo::new(2),
        value: Some("new value".to_owned()),
        active: false,
        expires_at: Some(Timestamp::from_millis(NOON - 1)),
        usage_limit: Some(9),
        usage_window_secs: Some(90),
        metadata: Some(r#"{"n":12345678901234567890}"#.to_owned()),
        secrets: vec![secret("b", Some("it's new")), secret("c", None), secret("d", Some("new d"))],
        ..unchanged(&fresh.store, 4).await
    };
    update(&fresh.store, 0, changed.clone()).await;
    let after = row(&fresh.store, 4).await;
    let expected = KeyRow {
        name: changed.name,
        tier: TierNo::new(2),
        value: "new value".to_owned(),
        active: false,
        expires_at: Some(Timestamp::from_millis(NOON - 1)),
        usage_limit: Some(9),
        usage_window_secs: Some(90),
        metadata: r#"{"n":12345678901234567890}"#.to_owned(),
        secrets: [("a", "old a"), ("b", "it's new"), ("d", "new d")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..before
    };
    assert_eq!(after, expected);
    let none = KeyUpdate { expires_at: None, ..unchanged(&fresh.store, 4).await };
    update(&fresh.store, 0, none).await;
    assert_eq!(row(&fresh.store, 4).await, KeyRow { expires_at: None, ..after });
}

#[tokio::test]
async fn a_value_that_was_replaced_is_gone() {
    let fresh = seeded().await;
    let secrets = vec![("hook".to_owned(), "hidden-secret".to_owned())];
    let secret = NewKey { value: "hidden-value".to_owned(), secrets, ..key(4) };
    change(&fresh.store, 5, ChangeKind::AddKeys(vec![secret])).await;
    let rotated = KeyUpdate {
        value: Some("other".to_owned()),
        secrets: vec![("hook".to_owned(), Some("another".to_owned()))],
        ..unchanged(&fresh.store, 4).await
    };
    update(&fresh.store, 0, rotated).await;
    assert!(!dump(&fresh.path()).await.join("\n").contains("hidden"));
    fresh.store.close().await;
    let file = std::fs::read(fresh.path()).unwrap();
    assert!(!file.windows(6).any(|bytes| bytes == b"hidden"), "gone from the file as well");
}

/// Promise 5.
#[tokio::test]
async fn a_draw_that_was_decided_before_is_stale() {
    let fresh = seeded().await;
    let base = fresh.store.revision().await.unwrap();
    update(&fresh.store, 0, unchanged(&fresh.store, 2).await).await;
    let late = fresh.store.commit_draws(&batch(base, &[draw(2, grant(1, 0))])).await;
    assert!(matches!(late, Err(WriteError::Stale)), "{late:?}");
    fresh.store.commit_draws(&batch(base, &[draw(1, grant(2, 0))])).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_not_there_or_has_no_such_tier_is_not_changed() {
    let fresh = seeded().await;
    let key = unchanged(&fresh.store, 1).await;
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(3))).await;
    let before = dump(&fresh.path()).await;
    let no_limit = KeyUpdate { usage_window_secs: Some(1), ..key.clone() };
    let no_tier = KeyUpdate { tier: TierNo::new(99), ..key.clone() };
    let [deleted, unknown] = [3, 99].map(|no| KeyUpdate { no: KeyNo::new(no), ..key.clone() });
    for refused in [no_limit, no_tier, deleted, unknown] {
        let kind = ChangeKind::UpdateKey(Box::new(refused));
        let refused = fresh.store.change(&at_noon(6, kind)).await;
        assert!(matches!(refused, Err(WriteError::Failed(_))), "{refused:?}");
        assert_eq!(dump(&fresh.path()).await, before);
    }
}

/// A limit and a window's seconds.
type Terms = (Option<i64>, Option<i64>);

/// A store whose key 1 has this budget, and was granted three times, at `from` and two milliseconds after.
async fn granted((limit, window): Terms, from: i64) -> Fresh {
    let fresh = empty().await;
    fresh.store.issue_replica().await.unwrap();
    change(&fresh.store, 1, ChangeKind::AddTier(tier(1, "fire", &[(2, 99, 9_999)], &[(2, "f")])))
        .await;
    let new = NewKey { usage_limit: limit, usage_window_secs: window, ..key(1) };
    change(&fresh.store, 2, ChangeKind::AddKeys(vec![new])).await;
    let since = window.map(|_| from);
    let draws = [0, 1, 2].map(|n| Draw { budget_since: since, ..draw(1, grant(from + n, 0)) });
    fresh.store.commit_draws(&batch(3, &draws)).await.unwrap();
    fresh
}

/// The count, and the window's start after noon.
async fn counted(fresh: &Fresh) -> (i64, Option<i64>) {
    let row = row(&fresh.store, 1).await;
    (row.usage_count, row.usage_window_start.map(|start| start.as_millis() - NOON))
}

/// Grants key 1 once more, in the window that opens at `since`.
async fn grant_in(fresh: &Fresh, at: i64, since: Option<i64>) -> Result<(), WriteError> {
    let revision = fresh.store.revision().await.unwrap();
    let draw = Draw { budget_since: since, ..draw(1, grant(at, 0)) };
    let outcome = fresh.store.commit_draws(&batch(revision, &[draw])).await;
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
    outcome
}

#[tokio::test]
async fn counts_go_on_or_are_struck_as_the_budget_changes() {
    const FREE: Terms = (None, None);
    const LIFE: Terms = (Some(9), None);
    const MINUTE: Terms = (Some(9), Some(60));
    const HOUR: Terms = (Some(8), Some(3_600));
    let minute_gone = Balance::KeptForLife { window_secs: 60 };
    // The key's three grants are made at 10 ms, the change comes at `after`, another grant at `then` in the window of
    // `since`: what is counted after the change, and after the grant.
    let table = [
        (LIFE, 20, LIFE, Balance::Kept, (3, None), 30, None, (4, None)),
        (LIFE, 20, FREE, Balance::Kept, (3, None), 30, None, (4, None)),
        (FREE, 20, LIFE, Balance::Struck(0), (0, None), 30, None, (1, None)),
        (FREE, 20, LIFE, Balance::Struck(7), (7, None), 30, None, (8, None)),
        (FREE, 20, MINUTE, Balance::Struck(0), (0, None), 30, Some(30), (1, Some(30))),
        (FREE, 20, MINUTE, Balance::Struck(5), (5, Some(20)), 30, Some(20), (6, Some(20))),
        (FREE, 20, FREE, Balance::Struck(5), (5, None), 30, None, (6, None)),
        (MINUTE, 20, HOUR, Balance::Kept, (3, Some(10)), 30, Some(10), (4, Some(10))),
        (MINUTE, 20, MINUTE, Balance::Struck(1), (1, Some(10)), 30, Some(10), (2, Some(10))),
        (MINUTE, 20, MINUTE, Balance::Struck(0), (0, Some(10)), 30, Some(10), (1, Some(10))),
        (
            MINUTE,
            60_010,
            MINUTE,
            Balance::Struck(0),
            (0, None),
            60_020,
            Some(60_020),
            (1, Some(60_020)),
        ),
        (
            MINUTE,
            60_010,
            MINUTE,
            Balance::Struck(2),
            (2, Some(60_010)),
            60_020,
            Some(60_010),
            (3, Some(60_010)),
        ),
        (MINUTE, 60_010, HOUR, Balance::Struck(2), (2, Some(10)), 60_020, Some(10), (3, Some(10))),
        (
            HOUR,
            60_010,
            MINUTE,
            Balance::Struck(2),
            (2, Some(60_010)),
            60_020,
            Some(60_010),
            (3, Some(60_010)),
        ),
        (MINUTE, 20, LIFE, minute_gone, (3, None), 30, None, (4, None)),
        (MINUTE, 60_009, FREE, minute_gone, (3, None), 60_020, None, (4, None)),
        (MINUTE, 60_010, LIFE, minute_gone, (0, None), 60_020, None, (1, None)),
        (LIFE, 20, MINUTE, Balance::Kept, (3, None), 30, Some(30), (1, Some(30))),
    ];
    for case @ (
        terms,
        after,
        (usage_limit, usage_window_secs),
        balance,
        changed,
        then,
        since,
        granted_then,
    ) in table
    {
        let fresh = granted(terms, 10).await;
        let key = unchanged(&fresh.store, 1).await;
        update(&fresh.store, after, KeyUpdate { usage_limit, usage_window_secs, balance, ..key })
            .await;
        assert_eq!(counted(&fresh).await, changed, "changed: {case:?}");
        grant_in(&fresh, then, since).await.unwrap();
        assert_eq!(counted(&fresh).await, granted_then, "granted: {case:?}");
    }
}

/// Promise 3, where a replica whose clock is behind draws after the change.
#[tokio::test]
async fn a_count_that_was_set_goes_on_with_grants_that_are_older_than_it() {
    for (window, since) in [(None, None), (Some(60), Some(10))] {
        let fresh = granted((Some(99), window), 10).await;
        let key = unchanged(&fresh.store, 1).await;
        update(&fresh.store, 20, KeyUpdate { balance: Balance::Struck(5), ..key }).await;
        for (used, at) in (6..).zip([11, 5, 30, 7, 12]) {
            let revision = fresh.store.revision().await.unwrap();
            let draw = Draw { budget_since: since, ..draw(1, grant(at, 9)) };
            fresh.store.commit_draws(&batch(revision, &[draw])).await.unwrap();
            assert_eq!(fresh.store.check_counters().await.unwrap(), [], "{window:?}, {at}");
            assert_eq!(counted(&fresh).await, (used, since));
        }
    }
}

/// Promise 1.
#[tokio::test]
async fn the_database_holds_to_a_count_that_was_set() {
    let fresh = granted((Some(4), None), 10).await;
    let key = unchanged(&fresh.store, 1).await;
    update(&fresh.store, 20, KeyUpdate { balance: Balance::Struck(4), ..key.clone() }).await;
    let over = grant_in(&fresh, 30, None).await;
    assert!(matches!(over, Err(WriteError::Spent)), "{over:?}");
    update(&fresh.store, 40, KeyUpdate { balance: Balance::Struck(3), ..key }).await;
    grant_in(&fresh, 50, None).await.unwrap();
    assert!(matches!(grant_in(&fresh, 60, None).await, Err(WriteError::Spent)));
}
