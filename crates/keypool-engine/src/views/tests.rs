//! Lists are made in pieces: none is long, all of them together are the whole list, and a change may come between.

use keypool_core::{Pool, ReplicaNo};

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::load::LoadedPool;
use crate::roster::Roster;
use crate::timekeeper::Timekeeper;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const MANY: i64 = 200;

/// A pool with many tiers and consumers; every third tier is gone, and has no name.
fn pool() -> Live {
    let mut roster = Roster::default();
    for number in 1..=MANY {
        let is_gone = number % 3 == 0;
        let name = if is_gone { String::new() } else { format!("tier-{number:03}") };
        let tier = TierEntry {
            id: format!("t{number}").into(),
            name: name.into(),
            description: Arc::from(""),
            features: Vec::new(),
        };
        roster.put_tier(TierNo::new(number), tier);
        roster.put_consumer(ConsumerNo::new(number), consumer(number));
    }
    let replica = ReplicaNo::new(1).unwrap();
    let loaded = LoadedPool {
        core: Pool::new(replica),
        roster,
        revision: 0,
        latest_grant: None,
        uses: Vec::new(),
        begun_ms: 0,
    };
    let clock = Clock::Manual(ManualClock::new(NOW));
    let timekeeper = Timekeeper::start(clock.read(), None, false).unwrap();
    Live::new(loaded, replica, clock, None, timekeeper)
}

fn consumer(number: i64) -> ConsumerEntry {
    ConsumerEntry {
        id: format!("c{number}").into(),
        name: format!("consumer-{number:03}").into(),
        description: Arc::from(""),
        is_active: true,
        expires_at: None,
        created_at: NOW,
        token: None,
        token_issued_at: NOW,
        former_tokens: Vec::new(),
        scopes: Vec::new(),
    }
}

#[test]
fn consumers_are_listed_whole_and_in_order_in_short_pieces() {
    let mut live = pool();
    let mut pieces = Vec::new();
    let listed = in_pieces(|after| {
        let (some, last) = live.consumer_views(after);
        pieces.push(some.len());
        (some, last)
    });
    assert_eq!(pieces, [64, 64, 64, 8]);
    let names: Vec<String> = listed.iter().map(|consumer| consumer.name.to_string()).collect();
    let expected: Vec<String> = (1..=MANY).map(|number| format!("consumer-{number:03}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn tiers_are_listed_whole_in_short_pieces_without_those_that_are_gone() {
    let live = pool();
    let mut pieces = 0;
    let listed = in_pieces(|after| {
        pieces += 1;
        live.tier_views(after)
    });
    assert_eq!(pieces, 4);
    let names: Vec<String> = listed.iter().map(|tier| tier.name.to_string()).collect();
    let left = (1..=MANY).filter(|number| number % 3 != 0);
    let expected: Vec<String> = left.map(|number| format!("tier-{number:03}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn whoever_comes_or_goes_between_two_pieces_is_listed_or_not_and_nobody_else_is_touched() {
    let mut live = pool();
    let mut pieces = 0;
    let listed = in_pieces(|after| {
        pieces += 1;
        if pieces == 2 {
            live.roster.remove_consumer(ConsumerNo::new(64));
            live.roster.remove_consumer(ConsumerNo::new(65));
            live.roster.put_consumer(ConsumerNo::new(MANY + 1), consumer(MANY + 1));
        }
        live.consumer_views(after)
    });
    let ids: Vec<String> = listed.iter().map(|consumer| consumer.id.to_string()).collect();
    let expected = (1..=MANY + 1).filter(|number| *number != 65);
    assert_eq!(ids, expected.map(|number| format!("c{number}")).collect::<Vec<_>>());
}

#[test]
fn a_pool_with_nobody_has_empty_lists() {
    let mut live = pool();
    live.roster = Roster::default();
    assert_eq!(in_pieces(|after| live.consumer_views(after)), []);
    assert_eq!(in_pieces(|after| live.tier_views(after)), []);
}
