//! Answers that get lost, come late or come twice: a write is on record once or not at all, and its caller knows which
//! (promise 2).

use std::time::Duration;

use keypool_store::{ChangeKind, WriteError};
use keypool_test_server::{Fault, When};

use crate::server::{Server, hasty};
use crate::support::{at_noon, batch, consumer, draw, grant, is_recorded, key, seed};

/// The faults that leave one request carried out but unanswered, or answered by something else.
const AFTER: [Fault; 4] = [
    Fault::DropAnswer,
    Fault::Repeat,
    Fault::TruncatedJson,
    Fault::DelayAfter(Duration::from_secs(2)),
];
/// Those that keep it from being carried out, as far as its sender can see.
const BEFORE: [Fault; 2] = [Fault::Refuse, Fault::BadGateway];

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_on_record_once() {
    for fault in AFTER.into_iter().chain(BEFORE) {
        let server = Server::start().await;
        let store = server.open_with(hasty).await;
        seed(&store).await;
        server.faults().inject(fault, When::once().matching("draw_batch"));
        let drawn = batch(5, &[draw(1, grant(1, 0)), draw(2, grant(1, 1))]);
        store.commit_draws(&drawn).await.unwrap();
        assert!(is_recorded(&store, grant(1, 0)).await, "{fault:?}");
        assert_eq!(store.load().await.unwrap().keys[0].usage_count, 1, "{fault:?}");
        assert_eq!(store.check_counters().await.unwrap(), [], "{fault:?}");
        store.commit_draws(&batch(5, &[draw(1, grant(2, 0))])).await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_that_arrives_after_it_was_given_up_changes_nothing() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    let late = Fault::ActLate(Duration::from_millis(300));
    server.faults().inject(late, When::once().matching("draw_batch"));
    store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.commit_draws(&batch(5, &[draw(1, grant(2, 0))])).await.unwrap();
    assert_eq!(store.load().await.unwrap().keys[0].usage_count, 2);
    assert_eq!(store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn a_batch_that_was_given_up_for_good_can_arrive_no_more() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    let late = Fault::ActLate(Duration::from_millis(300));
    server.faults().inject(late, When::times(2).matching("draw_batch"));
    let outcome = store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(outcome, Err(WriteError::Failed(_))), "{outcome:?}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!is_recorded(&store, grant(1, 0)).await);
    store.commit_draws(&batch(5, &[draw(1, grant(2, 0))])).await.unwrap();
}

#[tokio::test]
async fn a_batch_that_can_be_neither_written_nor_looked_for_is_in_doubt() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    server.faults().inject(Fault::DropAnswer, When::always());
    let outcome = store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(outcome, Err(WriteError::InDoubt(_))), "{outcome:?}");
    server.faults().clear();
    assert!(is_recorded(&store, grant(1, 0)).await);
    // Its fence was raised meanwhile without its knowledge: the next batch is refused until it has a number again.
    let fenced = store.commit_draws(&batch(5, &[draw(1, grant(2, 0))])).await;
    assert!(matches!(fenced, Err(WriteError::Fenced)), "{fenced:?}");
    store.issue_replica().await.unwrap();
    store.commit_draws(&batch(5, &[draw(1, grant(2, 0))])).await.unwrap();
    assert_eq!(store.check_counters().await.unwrap(), []);
}

#[tokio::test]
async fn a_fence_is_not_taken_for_raised_where_the_look_at_it_broke_off() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    let faults = server.faults();
    faults.inject(Fault::ActLate(Duration::from_millis(700)), When::once().matching("draw_batch"));
    let late = Fault::ActLate(Duration::from_millis(1_500));
    faults.inject(late, When::once().matching("UPDATE replicas"));
    faults.inject(Fault::TruncatedCursor, When::times(2).matching("fence"));
    let outcome = store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(outcome, Err(WriteError::InDoubt(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_takes_no_more_is_no_doubt() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    let hits = server.faults().inject(Fault::TooManyRequests, When::once().matching("draw_batch"));
    let outcome = store.commit_draws(&batch(5, &[draw(1, grant(1, 0))])).await;
    assert!(matches!(outcome, Err(WriteError::Failed(_))), "{outcome:?}");
    assert_eq!(hits.hits(), 1);
    assert!(!is_recorded(&store, grant(1, 0)).await);
}

#[tokio::test]
async fn a_resent_batch_that_came_through_in_part_says_in_which() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    store.commit_draws(&batch(5, &[draw(1, grant(1, 0)), draw(2, grant(1, 1))])).await.unwrap();
    let again = batch(5, &[draw(1, grant(1, 0)), draw(3, grant(1, 2))]);
    let outcome = store.commit_draws(&again).await;
    let Err(WriteError::Partly(recorded)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(recorded, [grant(1, 0)]);
    assert!(!is_recorded(&store, grant(1, 2)).await);
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_once() {
    for fault in AFTER.into_iter().chain(BEFORE) {
        let server = Server::start().await;
        let store = server.open_with(hasty).await;
        seed(&store).await;
        server.faults().inject(fault, When::once().matching("INSERT INTO changes"));
        let change = at_noon(5, ChangeKind::AddKeys(vec![key(4)]));
        store.change(&change).await.unwrap();
        let pool = store.load().await.unwrap();
        assert_eq!((pool.revision, pool.keys.len()), (6, 4), "{fault:?}");
        let next = at_noon(6, ChangeKind::AddConsumer(consumer(2, "next", &[])));
        store.change(&next).await.unwrap();
    }
}

#[tokio::test]
async fn a_change_that_arrives_after_it_was_given_up_changes_nothing() {
    let server = Server::start().await;
    let store = server.open_with(hasty).await;
    seed(&store).await;
    let late = Fault::ActLate(Duration::from_millis(300));
    server.faults().inject(late, When::once().matching("INSERT INTO changes"));
    store.change(&at_noon(5, ChangeKind::AddKeys(vec![key(4)]))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pool = store.load().await.unwrap();
    assert_eq!((pool.revision, pool.keys.len()), (6, 4));
}

#[tokio::test]
async fn a_change_that_another_replica_forestalled_is_stale_whatever_became_of_its_answer() {
    let server = Server::start().await;
    let (one, other) = (server.open_with(hasty).await, server.open_with(hasty).await);
    seed(&one).await;
    other.issue_replica().await.unwrap();
    let refuse = server.faults().inject(Fault::Refuse, When::times(1).matching("name of 4"));
    other.change(&at_noon(5, ChangeKind::AddKeys(vec![key(5)]))).await.unwrap();
    let outcome = one.change(&at_noon(5, ChangeKind::AddKeys(vec![key(4)]))).await;
    assert!(matches!(outcome, Err(WriteError::Stale)), "{outcome:?}");
    assert_eq!(refuse.hits(), 1);
}
