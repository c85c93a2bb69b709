//! Events go and what they amount to stays: counters, chains, the rotation and the totals of days say the same as before
//! (promise 3).

use keypool_core::{GrantId, KeyNo, Timestamp};
use keypool_store::{
    ChangeKind, ChangesQuery, OpenWindow, Origin, PruneBatch, Store, UsageRow, WriteError,
};

use crate::chain::page;
use crate::support::{Draw, Fresh, NOON, at_noon, batch, change, draw, grant, rows, seeded};

const HOUR: i64 = 3_600_000;

/// A moment so long after noon.
fn at(after: i64) -> Timestamp {
    Timestamp::from_millis(NOON + after)
}

/// Draws of the keys 1 (unlimited), 2 (for life) and 3 (in windows of 100 s), an hour between rounds.
fn rounds(count: i64) -> Vec<Vec<Draw>> {
    let round = |round: i64| {
        let draws = (0..6).map(|n| {
            let id = grant(round * HOUR + n, 0);
            let one = Draw { rate_since: round * HOUR, ..draw(1, id) };
            match n {
                0 if round < 4 => Draw { key: 2, consumer: 1, ..one },
                1 | 2 => Draw { key: 3, budget_since: Some(round * HOUR), ..one },
                3 => Draw { feature: 1, ..one },
                _ => one,
            }
        });
        draws.collect()
    };
    (0..count).map(round).collect()
}

async fn used(count: i64) -> (Fresh, Vec<Draw>) {
    let fresh = seeded().await;
    let rounds = rounds(count);
    for draws in &rounds {
        fresh.store.commit_draws(&batch(5, draws)).await.unwrap();
    }
    (fresh, rounds.concat())
}

/// These go, at noon.
pub(crate) async fn batch_of(store: &Store, before: Timestamp, oldest: &[UsageRow]) -> PruneBatch {
    let record = at_noon(0, ChangeKind::RecordOnly).records[0].clone();
    PruneBatch {
        base: store.revision().await.unwrap(),
        origin: Origin::command("a test"),
        record,
        before,
        begun: at(0),
        last: oldest.last().unwrap().id,
        events: oldest.len(),
    }
}

/// Prunes to a moment, so many events at a time; gives the ids that went.
async fn prune(store: &Store, before: Timestamp, at_a_time: u32) -> Vec<GrantId> {
    let mut gone = Vec::new();
    loop {
        let oldest = store.oldest_usage(before, at_a_time).await.unwrap();
        if oldest.is_empty() {
            return gone;
        }
        store.prune(&batch_of(store, before, &oldest).await).await.unwrap();
        gone.extend(oldest.iter().map(|event| event.id));
        assert_eq!(store.check_counters().await.unwrap(), []);
    }
}

/// What draws and listings rest on, but for the events.
async fn standing(fresh: &Fresh) -> Vec<String> {
    let sql = "SELECT 'budget ' || key_no || ' ' || used || ' ' || coalesce(window_start_ms, '') || ' ' || newest_event
            FROM budget_counters WHERE newest_event IS NOT NULL
        UNION ALL SELECT 'rate ' || key_no || ' ' || feature_no || ' ' || used || ' ' || window_start_ms || ' ' || last_grant
            FROM rate_counters ORDER BY 1";
    rows(&fresh.path(), sql).await
}

/// Grants by day, key, consumer and feature, those that went included.
async fn totals(fresh: &Fresh) -> Vec<String> {
    let sql = "SELECT day || ' ' || key_no || ' ' || consumer_no || ' ' || feature_no || ' ' || sum(grants) FROM (
            SELECT day, key_no, consumer_no, feature_no, grants FROM pruned_usage
            UNION ALL SELECT (id >> 21) / 86400000, key_no, consumer_no, feature_no, 1 FROM usage_events
        ) GROUP BY day, key_no, consumer_no, feature_no ORDER BY 1";
    rows(&fresh.path(), sql).await
}

#[tokio::test]
async fn what_went_is_counted_as_before() {
    for (hours, at_a_time) in [(1, 100), (3, 1), (7, 5), (30, 7)] {
        let (fresh, draws) = used(8).await;
        let (before, days) = (standing(&fresh).await, totals(&fresh).await);
        let gone = prune(&fresh.store, at(hours * HOUR), at_a_time).await;

        let newest = draws.last().unwrap().id;
        let expected: Vec<GrantId> = draws
            .iter()
            .map(|draw| draw.id)
            .filter(|id| *id < grant(hours * HOUR, 0) && *id != newest)
            .collect();
        assert_eq!(gone, expected, "{hours} h, {at_a_time} at a time");
        assert_eq!(standing(&fresh).await, before);
        assert_eq!(totals(&fresh).await, days);
        let recorded = rows(
            &fresh.path(),
            "SELECT (before_ms - 1800000000000) || ' ' || events FROM prunings",
        )
        .await;
        assert_eq!(recorded, [format!("{} {}", hours * HOUR, gone.len())]);

        for key in [1, 2, 3] {
            let mut left: Vec<GrantId> = draws
                .iter()
                .filter(|it| it.key == key)
                .map(|it| it.id)
                .filter(|id| !gone.contains(id))
                .collect();
            left.reverse();
            assert_eq!(page(&fresh.store, key, None, 1_000).await, left, "key {key}");
        }
    }
}

#[tokio::test]
async fn draws_go_on_in_the_windows_and_budgets_that_were_open() {
    let (fresh, _) = used(4).await;
    prune(&fresh.store, at(30 * HOUR), 100).await;
    // Key 2 had its four for life.
    let over = Draw { rate_since: 3 * HOUR, ..draw(2, grant(3 * HOUR + 10, 0)) };
    let refused = fresh.store.commit_draws(&batch(5, &[over])).await;
    assert!(matches!(refused, Err(WriteError::Spent)), "{refused:?}");
    // Key 3 had two of four in its window, and takes two more of it.
    let inside = |n| Draw {
        rate_since: 3 * HOUR,
        budget_since: Some(3 * HOUR),
        ..draw(3, grant(3 * HOUR + 20 + n, 0))
    };
    for n in 0..2 {
        fresh.store.commit_draws(&batch(5, &[inside(n)])).await.unwrap();
        assert_eq!(fresh.store.check_counters().await.unwrap(), []);
    }
    let refused = fresh.store.commit_draws(&batch(5, &[inside(2)])).await;
    assert!(matches!(refused, Err(WriteError::Spent)), "{refused:?}");
    // The next window is a new one.
    let later = 4 * HOUR;
    let next = Draw { rate_since: later, budget_since: Some(later), ..draw(3, grant(later, 0)) };
    fresh.store.commit_draws(&batch(5, &[next])).await.unwrap();
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
    prune(&fresh.store, at(30 * HOUR), 1).await;
    assert_eq!(page(&fresh.store, 3, None, 10).await, [next.id]);
}

#[tokio::test]
async fn a_stray_event_takes_its_place_in_what_is_left_of_a_chain() {
    let (fresh, _) = used(4).await;
    prune(&fresh.store, at(3 * HOUR), 100).await;
    let before = page(&fresh.store, 1, None, 100).await;
    // Older than all that are left of the key, and between two of them.
    let strays = [grant(3 * HOUR, 9), grant(3 * HOUR + 4, 9)];
    for id in strays {
        let stray = Draw { rate_since: 3 * HOUR, ..draw(1, id) };
        fresh.store.commit_draws(&batch(5, &[stray])).await.unwrap();
    }
    let mut expected = [before.as_slice(), &strays].concat();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(page(&fresh.store, 1, None, 100).await, expected);
    assert_eq!(fresh.store.check_counters().await.unwrap(), []);
    prune(&fresh.store, at(30 * HOUR), 2).await;
}

#[tokio::test]
async fn another_number_of_events_than_was_seen_prunes_none() {
    let (fresh, draws) = used(2).await;
    let oldest = fresh.store.oldest_usage(at(HOUR), 100).await.unwrap();
    assert_eq!(oldest.last().unwrap().id, draws[5].id);
    let attempt = batch_of(&fresh.store, at(HOUR), &oldest).await;
    let attempt = PruneBatch { events: 5, ..attempt };
    let refused = fresh.store.prune(&attempt).await;
    assert!(matches!(refused, Err(WriteError::Stale)), "{refused:?}");
    assert_eq!(rows(&fresh.path(), "SELECT '' || count(*) FROM usage_events").await, ["12"]);
    assert_eq!(rows(&fresh.path(), "SELECT '' || count(*) FROM pruned_usage").await, ["0"]);
    fresh.store.prune(&PruneBatch { events: 6, ..attempt.clone() }).await.unwrap();
    let again = PruneBatch { events: 6, base: attempt.base + 1, ..attempt };
    let refused = fresh.store.prune(&again).await;
    assert!(matches!(refused, Err(WriteError::Stale)), "the same once more: {refused:?}");
    assert_eq!(rows(&fresh.path(), "SELECT '' || sum(grants) FROM pruned_usage").await, ["6"]);
}

/// The record is written with what it tells of, and neither without the other.
#[tokio::test]
async fn each_batch_is_a_change_on_record() {
    let (fresh, _) = used(2).await;
    let before = fresh.store.revision().await.unwrap();
    prune(&fresh.store, at(30 * HOUR), 5).await;
    let changes =
        fresh.store.list_changes(ChangesQuery { limit: 100, before: None }).await.unwrap();
    let made = fresh.store.revision().await.unwrap() - before;
    assert_eq!(made, 3, "5, 5 and 1 events");
    let by_prune = changes.iter().filter(|row| row.from.as_deref() == Some("a test"));
    assert_eq!(by_prune.count(), 3);
}

#[tokio::test]
async fn what_there_is_to_prune_is_told_and_the_newest_event_stays() {
    let (fresh, draws) = used(2).await;
    let prunable = fresh.store.prunable(at(30 * HOUR)).await.unwrap();
    assert_eq!((prunable.events, prunable.first), (11, Some(draws[0].id)));
    assert_eq!(prunable.last, Some(draws[10].id));
    assert_eq!(fresh.store.prunable(at(0)).await.unwrap().events, 0);
    assert_eq!(seeded().await.store.prunable(at(HOUR)).await.unwrap().first, None);
}

#[tokio::test]
async fn a_window_that_is_open_is_told() {
    let (fresh, _) = used(3).await;
    let open = async |before, now| fresh.store.open_window(at(before), at(now)).await.unwrap();
    let window = OpenWindow {
        key_id: "key-3".to_owned(),
        key_name: "name of 3".to_owned(),
        feature: None,
        since: at(2 * HOUR),
        until: at(2 * HOUR + 100_000),
    };
    assert_eq!(open(2 * HOUR + 1, 2 * HOUR + 60_000).await, Some(window.clone()));
    assert_eq!(open(2 * HOUR + 1, 2 * HOUR + 99_999).await, Some(window));
    assert_eq!(open(2 * HOUR + 1, 2 * HOUR + 100_000).await, None, "it has ended");
    assert_eq!(open(2 * HOUR, 2 * HOUR + 50).await, None, "it begins there");
    let rate = open(2 * HOUR + 1, 2 * HOUR + 10).await.unwrap();
    assert_eq!(rate.since, at(2 * HOUR));
    change(&fresh.store, 5, ChangeKind::DeleteKey(KeyNo::new(3))).await;
    let rate = open(2 * HOUR + 1, 2 * HOUR + 59_999).await.unwrap();
    assert_eq!((rate.key_id.as_str(), rate.until), ("key-1", at(2 * HOUR + 60_000)));
    assert!(rate.feature.is_some());
    assert_eq!(open(2 * HOUR + 1, 2 * HOUR + 60_000).await, None);
}

#[tokio::test]
async fn last_uses_are_told_by_what_is_left() {
    let (fresh, draws) = used(4).await;
    let last = draws.iter().filter(|draw| draw.consumer == 1).map(|draw| draw.id).max().unwrap();
    prune(&fresh.store, at(30 * HOUR), 5).await;
    let noted = "SELECT '' || last_event FROM consumer_uses WHERE consumer_no = 1";
    assert_eq!(rows(&fresh.path(), noted).await, [last.get().to_string()]);
}
