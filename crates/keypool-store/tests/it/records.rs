//! The record of changes: written with each change or not at all, never changed, listed newest first.

use std::sync::Arc;

use keypool_core::{KeyNo, Timestamp};
use keypool_store::{Change, ChangeKind, ChangeRecord, ChangeRow, ChangesQuery, Origin, Store};

use crate::support::{NOON, at_noon, empty, key, rows, seeded, tier, try_run};

async fn list(store: &Store, limit: u32, before: Option<i64>) -> Vec<ChangeRow> {
    store.list_changes(ChangesQuery { limit, before }).await.unwrap()
}

fn record(what: &'static str, n: usize) -> ChangeRecord {
    ChangeRecord {
        what,
        id_of: format!("thing-{n}").into(),
        name: format!("'; -- \"ü\" {n}").into(),
        before: n.is_multiple_of(2).then(|| format!(r#"{{"n":{n},"text":"\u0000'"}}"#)),
        after: n.is_multiple_of(3).then(|| "{}".to_owned()),
    }
}

#[tokio::test]
async fn a_change_is_on_record_with_who_made_it() {
    let fresh = empty().await;
    let tier = ChangeKind::AddTier(tier(1, "fire", &[(1, 3, 60)], &[(1, "search")]));
    let records: Arc<[_]> = Arc::new([record("add_tier", 6), record("add_tier", 1)]);
    let origin = Origin::request(Some("2001:db8::1"), "it's '?1'");
    let at = Timestamp::from_millis(NOON + 7);
    let change = Change { base: 1, at, origin, what: tier, records };
    fresh.store.change(&change).await.unwrap();
    let delete = ChangeKind::DeleteKey(KeyNo::new(1));
    let add = Change { base: 2, what: ChangeKind::AddKeys(vec![key(1)]), ..change.clone() };
    let unknown = Origin::request(None, "2");
    fresh.store.change(&Change { origin: unknown, records: Arc::new([]), ..add }).await.unwrap();
    let records: Arc<[_]> = Arc::new([record("delete_key", 2)]);
    let origin = Origin::command("keypooler import");
    fresh.store.change(&Change { base: 3, at, origin, what: delete, records }).await.unwrap();

    let found = list(&fresh.store, 9, None).await;
    let row = |at: usize, what, n, from: &str, request_id: Option<&str>| {
        let ChangeRecord { id_of, name, before, after, .. } = record(what, n);
        ChangeRow {
            no: found[at].no,
            at: Timestamp::from_millis(NOON + 7),
            what: what.to_owned(),
            id_of: id_of.to_string(),
            name: name.to_string(),
            from: Some(from.to_owned()),
            request_id: request_id.map(str::to_owned),
            before,
            after,
        }
    };
    let expected = [
        row(0, "delete_key", 2, "keypooler import", None),
        row(1, "add_tier", 1, "2001:db8::1", Some("it's '?1'")),
        row(2, "add_tier", 6, "2001:db8::1", Some("it's '?1'")),
    ];
    assert_eq!(found, expected);
    let unknown = "SELECT request_id FROM changes WHERE origin IS NULL";
    assert_eq!(rows(&fresh.path(), unknown).await, ["2"]);
}

#[tokio::test]
async fn many_records_of_one_change_are_listed_in_order_and_in_pages() {
    let fresh = seeded().await;
    let many: Arc<[_]> = (0..3_000)
        .map(|n| ChangeRecord {
            after: Some(format!("\"{}\"", "'".repeat(n))),
            ..record("add_key", n)
        })
        .collect();
    let change = at_noon(5, ChangeKind::AddKeys(vec![key(4)]));
    fresh.store.change(&Change { records: many, ..change }).await.unwrap();
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = list(&fresh.store, 900, before).await;
        let Some(last) = page.last() else { break };
        before = Some(last.no);
        seen.extend(page);
    }
    assert_eq!(seen.len(), 3_000 + 4);
    assert!(seen.windows(2).all(|pair| pair[0].no > pair[1].no));
    let things: Vec<_> = seen.iter().take(3_000).map(|row| row.id_of.clone()).collect();
    let expected: Vec<_> = (0..3_000).rev().map(|n| format!("thing-{n}")).collect();
    assert_eq!(things, expected);
    assert_eq!(seen[0].after.as_ref().unwrap().len(), 2_999 + 2);
}

#[tokio::test]
async fn a_change_that_was_not_made_is_not_on_record() {
    let fresh = seeded().await;
    let before = list(&fresh.store, 9, None).await;
    assert_eq!(before.len(), 4);
    let stale = at_noon(4, ChangeKind::DeleteKey(KeyNo::new(1)));
    let failed = at_noon(5, ChangeKind::DeleteKey(KeyNo::new(99)));
    for change in [stale, failed] {
        assert!(fresh.store.change(&change).await.is_err());
        assert_eq!(list(&fresh.store, 9, None).await, before);
    }
}

#[tokio::test]
async fn what_is_on_record_can_be_neither_changed_nor_removed() {
    let fresh = seeded().await;
    let before = list(&fresh.store, 9, None).await;
    for sql in [
        "DELETE FROM change_records",
        "DELETE FROM change_records WHERE record_no = 1",
        "UPDATE change_records SET after = NULL",
        "UPDATE change_records SET record_no = record_no + 100",
        "DELETE FROM changes",
        "UPDATE changes SET origin = 'somebody else'",
    ] {
        let refused = try_run(&fresh.path(), sql).await.unwrap_err();
        assert!(refused.contains("changes are kept"), "{sql}: {refused}");
        assert_eq!(list(&fresh.store, 9, None).await, before, "{sql}");
    }
}
