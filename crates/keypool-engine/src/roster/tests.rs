//! Who holds a token, also where several do, and what it costs to replace consumers.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn consumer(number: i64, token: &str, former: &[(&str, i64)]) -> ConsumerEntry {
    let former = former.iter();
    ConsumerEntry {
        id: format!("id-{number}").into(),
        name: format!("name-{number}").into(),
        description: Arc::from(""),
        is_active: true,
        expires_at: None,
        created_at: NOW,
        token: Some(TokenDigest::of(token)),
        token_issued_at: NOW,
        former_tokens: former
            .map(|(token, until)| (TokenDigest::of(token), Timestamp::from_millis(*until)))
            .collect(),
        scopes: Vec::new(),
    }
}

fn put(roster: &mut Roster, number: i64, token: &str, former: &[(&str, i64)]) {
    roster.put_consumer(ConsumerNo::new(number), consumer(number, token, former));
}

fn holder(roster: &Roster, token: &str) -> Option<i64> {
    roster.consumer_with_token(&TokenDigest::of(token), NOW).map(ConsumerNo::get)
}

#[test]
fn a_shared_token_goes_to_the_oldest_of_those_that_are_left() {
    let mut roster = Roster::default();
    put(&mut roster, 3, "shared", &[]);
    put(&mut roster, 1, "own", &[("shared", 2_000)]);
    put(&mut roster, 2, "shared", &[]);
    for heir in 1..=3 {
        assert_eq!(holder(&roster, "shared"), Some(heir));
        roster.remove_consumer(ConsumerNo::new(heir)).unwrap();
    }
    assert_eq!((holder(&roster, "shared"), holder(&roster, "own")), (None, None));
    assert!(roster.consumers_by_token.is_empty(), "nothing of them is left");
    assert!(roster.remove_consumer(ConsumerNo::new(1)).is_none());
}

#[test]
fn a_token_that_was_replaced_is_known_until_its_overlap_ends_and_then_forgotten() {
    let mut roster = Roster::default();
    put(&mut roster, 1, "new", &[("old", 2_000), ("older", 1_000)]);
    assert_eq!(holder(&roster, "new"), Some(1));
    assert_eq!(holder(&roster, "old"), Some(1));
    assert_eq!(holder(&roster, "older"), None);
    let changed = roster.remove_consumer(ConsumerNo::new(1)).unwrap();
    roster.put_consumer(ConsumerNo::new(1), changed);
    assert_eq!(holder(&roster, "old"), Some(1));
}

/// As after a replica changed them all: so much is done under the pool's lock.
#[test]
fn ten_thousands_of_consumers_are_replaced_in_no_time() {
    const MANY: i64 = 50_000;
    let mut roster = Roster::default();
    for number in 0..MANY {
        put(&mut roster, number, &format!("token-{number}"), &[]);
    }
    let begun = Instant::now();
    for number in 0..MANY {
        let changed = roster.remove_consumer(ConsumerNo::new(number)).unwrap();
        roster.put_consumer(ConsumerNo::new(number), changed);
    }
    // A look through all others for each would be 2,500,000,000 looks.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
