//! Consumers change, expire and get other tokens; when they were granted a key last is noted.

use keypool_core::{ConsumerNo, FeatureNo, Timestamp};
use keypool_store::{
    Change, ChangeKind, ConsumerRow, ConsumerUpdate, NewConsumer, NewToken, Store, WriteError,
};

use crate::support::{
    Draw, NOON, at_noon, batch, change, consumer, draw, dump, grant, open, rows, run, seeded,
};

/// Nothing new of a consumer.
fn update(no: i64) -> ConsumerUpdate {
    ConsumerUpdate {
        no: ConsumerNo::new(no),
        name: None,
        description: None,
        active: None,
        expires_at: None,
    }
}

/// The token `number` for a consumer.
fn token(no: i64, number: i64, overlap_secs: i64) -> ChangeKind {
    let token_hash = format!("{number:064x}");
    ChangeKind::IssueToken(NewToken { consumer: ConsumerNo::new(no), token_hash, overlap_secs })
}

fn after_noon(secs: i64) -> Timestamp {
    Timestamp::from_millis(NOON + secs * 1_000)
}

async fn change_at(store: &Store, base: i64, secs: i64, what: ChangeKind) {
    store.change(&Change { at: after_noon(secs), ..at_noon(base, what) }).await.unwrap();
}

async fn first(store: &Store) -> ConsumerRow {
    store.load().await.unwrap().consumers.remove(0)
}

/// The numbers of its former tokens, each with the second after noon in which it ends.
fn former(row: &ConsumerRow) -> Vec<(i64, i64)> {
    let of = |hash: &str| i64::from_str_radix(hash, 16).unwrap();
    let secs = |until: Timestamp| (until.as_millis() - NOON) / 1_000;
    row.former_tokens.iter().map(|token| (of(&token.token_hash), secs(token.until))).collect()
}

#[tokio::test]
async fn a_consumer_is_replaced_in_what_is_given() {
    let fresh = seeded().await;
    let before = first(&fresh.store).await;
    assert_eq!((before.expires_at, before.token_issued_at), (None, after_noon(0)));
    let steps = [
        ConsumerUpdate { name: Some("robot".to_owned()), ..update(1) },
        ConsumerUpdate { description: Some("it runs".to_owned()), ..update(1) },
        ConsumerUpdate { active: Some(false), ..update(1) },
        ConsumerUpdate { expires_at: Some(Some(after_noon(9))), ..update(1) },
        update(1),
    ];
    for (base, step) in (5..).zip(steps) {
        change(&fresh.store, base, ChangeKind::UpdateConsumer(step)).await;
    }
    let changed = ConsumerRow {
        name: "robot".to_owned(),
        description: "it runs".to_owned(),
        active: false,
        expires_at: Some(after_noon(9)),
        ..before
    };
    assert_eq!(first(&fresh.store).await, changed);
    let since = fresh.store.load_since(9, FeatureNo::new(2)).await.unwrap();
    assert_eq!(since.consumers[0], changed);
    let back = ConsumerUpdate { active: Some(true), expires_at: Some(None), ..update(1) };
    change(&fresh.store, 10, ChangeKind::UpdateConsumer(back)).await;
    let back = ConsumerRow { active: true, expires_at: None, ..changed };
    assert_eq!(first(&fresh.store).await, back);
}

#[tokio::test]
async fn a_consumer_is_made_with_an_expiry() {
    let fresh = seeded().await;
    let new = NewConsumer { expires_at: Some(after_noon(1)), ..consumer(2, "brief", &[]) };
    change_at(&fresh.store, 5, 3, ChangeKind::AddConsumer(new)).await;
    let row = fresh.store.load().await.unwrap().consumers.remove(1);
    assert_eq!((row.expires_at, row.token_issued_at), (Some(after_noon(1)), after_noon(3)));
    assert_eq!(row.former_tokens, []);
}

#[tokio::test]
async fn changes_of_consumers_that_cannot_be_made_change_nothing() {
    let fresh = seeded().await;
    change(&fresh.store, 5, ChangeKind::AddConsumer(consumer(2, "robot", &[]))).await;
    change(&fresh.store, 6, ChangeKind::DeleteConsumer(ConsumerNo::new(2))).await;
    change(&fresh.store, 7, ChangeKind::AddConsumer(consumer(3, "droid", &[]))).await;
    let before = dump(&fresh.path()).await;
    let renamed = ConsumerUpdate { name: Some("droid".to_owned()), ..update(1) };
    let kinds = [
        ChangeKind::UpdateConsumer(renamed),
        ChangeKind::UpdateConsumer(update(0)),
        ChangeKind::UpdateConsumer(update(2)),
        ChangeKind::UpdateConsumer(update(99)),
        token(0, 7, 60),
        token(2, 7, 60),
        token(99, 7, 60),
    ];
    for kind in kinds {
        let refused = fresh.store.change(&at_noon(8, kind.clone())).await;
        assert!(matches!(refused, Err(WriteError::Failed(_))), "{kind:?}: {refused:?}");
        for base in [7, 9] {
            let refused = fresh.store.change(&at_noon(base, kind.clone())).await;
            assert!(matches!(refused, Err(WriteError::Stale)), "{kind:?}: {refused:?}");
        }
        assert_eq!(dump(&fresh.path()).await, before, "{kind:?}");
    }
}

#[tokio::test]
async fn a_rotation_ends_every_earlier_token_with_its_overlap_at_the_latest() {
    let fresh = seeded().await;
    let store = &fresh.store;
    change_at(store, 5, 10, token(1, 2, 60)).await;
    let row = first(store).await;
    assert_eq!(
        (row.token_hash.as_str(), row.token_issued_at),
        (&*format!("{:064x}", 2), after_noon(10))
    );
    assert_eq!(former(&row), [(1, 70)]);
    change_at(store, 6, 20, token(1, 3, 1_000)).await;
    assert_eq!(former(&first(store).await), [(1, 70), (2, 1_020)], "none is prolonged");
    change_at(store, 7, 30, token(1, 4, 50)).await;
    assert_eq!(former(&first(store).await), [(1, 70), (2, 80), (3, 80)], "all are shortened");
    let since = store.load_since(7, FeatureNo::new(2)).await.unwrap();
    assert_eq!(since.consumers, [first(store).await]);
    change_at(store, 8, 70, token(1, 5, 5)).await;
    assert_eq!(former(&first(store).await), [(2, 75), (3, 75), (4, 75)], "what has ended goes");
    change_at(store, 9, 71, token(1, 6, 0)).await;
    assert_eq!(former(&first(store).await), [], "no overlap ends all");
    let left = "SELECT count(*) || '' FROM former_tokens";
    assert_eq!(rows(&fresh.path(), left).await, ["0"]);
}

#[tokio::test]
async fn a_deleted_consumer_leaves_no_digest_of_any_token() {
    let fresh = seeded().await;
    change(&fresh.store, 5, token(1, 0xabcdef, 60)).await;
    change(&fresh.store, 6, token(1, 0xfedcba, 60)).await;
    assert_eq!(former(&first(&fresh.store).await).len(), 2);
    change(&fresh.store, 7, ChangeKind::DeleteConsumer(ConsumerNo::new(1))).await;
    let everything = dump(&fresh.path()).await.join("\n");
    assert!(!everything.contains("abcdef") && !everything.contains("fedcba"));
}

#[tokio::test]
async fn a_batch_of_a_consumer_that_was_changed_or_got_another_token_is_stale() {
    let fresh = seeded().await;
    let asleep = ChangeKind::UpdateConsumer(ConsumerUpdate { active: Some(false), ..update(1) });
    for (base, kind) in (5..).zip([asleep, token(1, 2, 0)]) {
        change(&fresh.store, base, kind).await;
        let id = grant(base, 0);
        let of_consumer = Draw { consumer: 1, ..draw(1, id) };
        let refused = fresh.store.commit_draws(&batch(base, &[of_consumer])).await;
        assert!(matches!(refused, Err(WriteError::Stale)), "{refused:?}");
        fresh.store.commit_draws(&batch(base, &[draw(1, id)])).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_grants_are_what_was_noted_and_what_newer_events_tell() {
    let fresh = seeded().await;
    let store = &fresh.store;
    change(store, 5, ChangeKind::AddConsumer(consumer(2, "other", &[1]))).await;
    let by = |consumer, id| Draw { consumer, ..draw(1, id) };
    let minute = |minute: i64| grant(minute * 60_000, 0);
    store
        .commit_draws(&batch(6, &[by(1, minute(1)), by(2, minute(2)), by(0, minute(3))]))
        .await
        .unwrap();
    let one = ConsumerNo::new(1);
    let last = async |consumer| {
        let uses = store.load().await.unwrap().uses;
        uses.into_iter().filter(|(of, _)| *of == consumer).map(|(_, grant)| grant).max()
    };
    assert_eq!(last(one).await, Some(minute(1)), "events tell while nothing is noted");

    store.note_uses(&[(one, minute(1)), (ConsumerNo::new(0), minute(3))]).await.unwrap();
    store.note_uses(&[(one, grant(0, 0))]).await.unwrap();
    let mut noted = store.uses().await.unwrap();
    noted.sort_unstable();
    assert_eq!(noted, [(ConsumerNo::new(0), minute(3)), (one, minute(1))], "the newest stays");
    let is_found = last(ConsumerNo::new(2)).await.is_some();
    assert_eq!(is_found, store.is_shared(), "another replica may not have noted it");

    store.commit_draws(&batch(6, &[by(1, minute(9))])).await.unwrap();
    assert_eq!(last(one).await, Some(minute(9)), "a newer event counts, noted or not");
    store.note_uses(&[(one, minute(9))]).await.unwrap();
    assert_eq!(last(ConsumerNo::new(2)).await, None, "five minutes later nobody looks for it");
    run(&fresh.path(), "DELETE FROM usage_events").await;
    assert_eq!(last(one).await, Some(minute(9)), "it outlives the event");
    store.note_uses(&[]).await.unwrap();
    assert_eq!(store.load_since(5, FeatureNo::new(2)).await.unwrap().uses, []);
}

#[tokio::test]
async fn what_is_noted_of_ten_thousand_consumers_is_one_write() {
    let fresh = seeded().await;
    let add = "INSERT INTO consumers (consumer_no, consumer_uuid, name, description, token_digest, is_active, created_ms)
        WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n LIMIT 10000)
        SELECT n, 'c' || n, 'c' || n, '', 'd' || n, 1, 0 FROM n";
    run(&fresh.path(), add).await;
    let uses: Vec<_> = (2..10_002).map(|no| (ConsumerNo::new(no), grant(no, 0))).collect();
    fresh.store.note_uses(&uses).await.unwrap();
    let mut noted = fresh.store.uses().await.unwrap();
    noted.sort_unstable();
    assert_eq!(noted, uses);
}

#[tokio::test]
async fn consumers_and_their_tokens_are_the_same_after_a_restart() {
    let fresh = seeded().await;
    change(&fresh.store, 5, token(1, 2, 60)).await;
    let expiring = ConsumerUpdate { expires_at: Some(Some(after_noon(5))), ..update(1) };
    change(&fresh.store, 6, ChangeKind::UpdateConsumer(expiring)).await;
    fresh.store.note_uses(&[(ConsumerNo::new(1), grant(7, 0))]).await.unwrap();
    let before = fresh.store.load().await.unwrap();
    assert!(before.consumers[0].former_tokens.len() == 1 && before.uses.len() == 1);
    fresh.store.close().await;
    let again = open(&fresh.path()).await;
    assert_eq!(again.load().await.unwrap(), before);
    again.close().await;
}

#[tokio::test]
async fn nothing_that_holds_a_digest_prints_it() {
    let fresh = seeded().await;
    let kind = token(1, 0xabcdef, 60);
    let mut printed = vec![format!("{kind:?}")];
    change(&fresh.store, 5, kind).await;
    change(&fresh.store, 6, token(1, 3, 60)).await;
    let row = first(&fresh.store).await;
    printed.extend([format!("{row:?}"), format!("{:?}", row.former_tokens)]);
    assert!(printed.iter().all(|text| !text.contains("abcdef")), "{printed:?}");
}
