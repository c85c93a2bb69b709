//! Consumers change, expire and get other tokens, from the millisecond on (promise 5); when each was used last.

use std::time::Duration;

use keypool_engine::{
    AdminError, Caller, ConsumerPatch, Engine, NewConsumer, Refusal, Sealer, Timestamp,
};

use crate::support::*;

const MINUTE: Duration = Duration::from_secs(60);

fn after_start(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms)
}

async fn patch(engine: &Engine, id: &str, patch: ConsumerPatch) {
    engine.update_consumer(&origin(), id, patch).await.unwrap();
}

/// The token of a new consumer of the tier `t`, with its id.
async fn issued(engine: &Engine, name: &str, expires_at: Option<Timestamp>) -> (String, String) {
    let (name, scopes) = (name.to_owned(), vec!["t".to_owned()]);
    let new = NewConsumer { name, scopes, expires_at, ..NewConsumer::default() };
    let issued = engine.add_consumer(&origin(), new).await.unwrap();
    (issued.id.to_string(), issued.token.expose().to_owned())
}

async fn rotate(engine: &Engine, id: &str, overlap_seconds: i64) -> String {
    let issued = engine.issue_token(&origin(), id, overlap_seconds).await.unwrap();
    assert_eq!(&*issued.id, id);
    issued.token.expose().to_owned()
}

#[tokio::test]
async fn a_consumer_is_changed_in_what_is_given() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (id, token) = issued(&engine, "c", None).await;
    issued(&engine, "d", None).await;
    let named = |name: &str| ConsumerPatch { name: Some(name.to_owned()), ..Default::default() };
    for (name, fits) in [("d", false), ("", false), ("c", true), ("e", true)] {
        let outcome = engine.update_consumer(&origin(), &id, named(name)).await;
        assert_eq!(outcome.is_ok(), fits, "{name}: {outcome:?}");
        if name == "d" {
            let taken = matches!(outcome, Err(AdminError::NameTaken { what: "consumer", .. }));
            assert!(taken, "{outcome:?}");
        }
    }
    let description = Some("new".to_owned());
    patch(&engine, &id, ConsumerPatch { description, ..Default::default() }).await;
    let expires_at = Some(Some(after_start(9)));
    let wanted = ConsumerPatch { expires_at, ..Default::default() };
    let changed = engine.update_consumer(&origin(), &id, wanted).await.unwrap();
    assert_eq!((&*changed.name, &*changed.description, changed.is_active), ("e", "new", true));
    assert_eq!((changed.expires_at, changed.scopes.len()), (Some(after_start(9)), 1));
    assert_eq!(engine.consumers()[0], changed);
    assert!(engine.authenticate(&token).is_some(), "it keeps its token");
    let unknown = engine.update_consumer(&origin(), "nope", named("f")).await;
    assert!(matches!(unknown, Err(AdminError::Unknown { what: "consumer", .. })));
    let before = engine.consumers();
    engine.close().await;
    let engine = home.open().await;
    assert_eq!(engine.consumers(), before);
    engine.close().await;
}

#[tokio::test]
async fn a_deactivated_consumer_is_nobody_until_it_is_active_again() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (id, token) = issued(&engine, "c", None).await;
    let caller = engine.authenticate(&token).unwrap();
    engine.draw(caller, "f").await.unwrap();
    let active = |is_active| ConsumerPatch { is_active: Some(is_active), ..Default::default() };
    patch(&engine, &id, active(false)).await;
    assert_eq!((engine.authenticate(&token), engine.accepts(caller)), (None, false));
    assert_eq!(refusal(engine.draw(caller, "f").await), Refusal::UnknownCaller);
    assert_eq!(refusal(engine.draw(caller, "g").await), Refusal::UnknownCaller);
    engine.close().await;
    let engine = home.open().await;
    assert_eq!(engine.authenticate(&token), None);
    patch(&engine, &id, active(true)).await;
    assert_eq!(engine.authenticate(&token), Some(caller));
    engine.draw(caller, "f").await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_consumer_expires_to_the_millisecond() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let past = NewConsumer {
        name: "c".to_owned(),
        expires_at: Some(engine.now()),
        ..NewConsumer::default()
    };
    let refused = engine.add_consumer(&origin(), past).await.unwrap_err();
    assert!(matches!(refused, AdminError::Invalid(invalid) if invalid.field == "expires_at"));
    let (id, token) = issued(&engine, "c", Some(after_start(5))).await;
    let caller = engine.authenticate(&token).unwrap();
    home.clock.advance(Duration::from_millis(4));
    assert!(engine.accepts(caller));
    engine.draw(caller, "f").await.unwrap();
    home.clock.advance(Duration::from_millis(1));
    assert_eq!((engine.authenticate(&token), engine.accepts(caller)), (None, false));
    assert_eq!(refusal(engine.draw(caller, "f").await), Refusal::UnknownCaller);
    assert_eq!(engine.consumers()[0].expires_at, Some(after_start(5)), "it is listed still");

    patch(&engine, &id, ConsumerPatch { expires_at: Some(None), ..Default::default() }).await;
    engine.draw(caller, "f").await.unwrap();
    let at_once = ConsumerPatch { expires_at: Some(Some(after_start(0))), ..Default::default() };
    patch(&engine, &id, at_once).await;
    assert_eq!(engine.authenticate(&token), None);
    engine.close().await;
}

#[tokio::test]
async fn a_token_is_replaced_and_the_old_one_works_for_the_overlap() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (id, first) = issued(&engine, "c", None).await;
    home.clock.advance(MINUTE);
    let second = rotate(&engine, &id, 10).await;
    let (was, is) = (engine.authenticate(&first).unwrap(), engine.authenticate(&second).unwrap());
    for caller in [was, is] {
        engine.draw(caller, "f").await.unwrap();
    }
    let shown = engine.consumers().remove(0);
    assert_eq!(shown.token_issued_at, after_start(60_000));
    assert_eq!(shown.old_token_until, Some(after_start(70_000)));
    home.clock.advance(Duration::from_millis(9_999));
    assert!(engine.accepts(was));
    home.clock.advance(Duration::from_millis(1));
    assert_eq!((engine.authenticate(&first), engine.accepts(was)), (None, false));
    assert_eq!(refusal(engine.draw(was, "f").await), Refusal::UnknownCaller);
    engine.draw(is, "f").await.unwrap();
    assert_eq!(engine.consumers()[0].old_token_until, None);
    engine.close().await;
}

#[tokio::test]
async fn a_rotation_ends_all_earlier_tokens_with_its_overlap_over_a_restart_too() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (id, first) = issued(&engine, "c", None).await;
    let second = rotate(&engine, &id, 100).await;
    let third = rotate(&engine, &id, 10).await;
    engine.close().await;
    let engine = home.open().await;
    let who = |engine: &Engine| {
        [&first, &second, &third].map(|token| engine.authenticate(token).is_some())
    };
    assert_eq!(who(&engine), [true; 3]);
    home.clock.advance(Duration::from_secs(10));
    assert_eq!(who(&engine), [false, false, true]);
    let fourth = rotate(&engine, &id, 3_600).await;
    assert_eq!(who(&engine), [false, false, true]);
    let fifth = rotate(&engine, &id, 0).await;
    assert_eq!(who(&engine), [false; 3], "no overlap ends all");
    assert!(engine.authenticate(&fourth).is_none() && engine.authenticate(&fifth).is_some());
    engine.delete_consumer(&origin(), &id).await.unwrap();
    assert!(engine.authenticate(&fifth).is_none());
    assert_eq!(home.number("SELECT count(*) FROM former_tokens").await, 0);
    engine.close().await;
}

#[tokio::test]
async fn an_overlap_is_bounded_and_a_token_is_issued_to_whom_there_is() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let (id, token) = issued(&engine, "c", None).await;
    for seconds in [-1, 31_622_401] {
        let refused = engine.issue_token(&origin(), &id, seconds).await.unwrap_err();
        assert!(
            matches!(refused, AdminError::Invalid(invalid) if invalid.field == "overlap_seconds")
        );
    }
    for nobody in ["nope", "admin"] {
        let refused = engine.issue_token(&origin(), nobody, 0).await.unwrap_err();
        assert!(matches!(refused, AdminError::Unknown { what: "consumer", .. }));
    }
    assert!(engine.authenticate(&token).is_some(), "nothing was replaced");
    rotate(&engine, &id, 31_622_400).await;
    assert!(engine.authenticate(&token).is_some());
    engine.close().await;
}

/// Promise 5: the old token's draws that wait to be recorded are decided anew, the new one's go on.
#[tokio::test]
async fn draws_under_way_are_refused_once_their_token_is_replaced() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (id, old) = issued(&engine, "c", None).await;
    let caller = engine.authenticate(&old).unwrap();
    // All ask before the committer has its turn: the change is made first, as it was asked first.
    let origin = origin();
    let (rotated, ours, admins) = tokio::join!(
        biased;
        engine.issue_token(&origin, &id, 0),
        engine.draw(caller, "f"),
        engine.draw(Caller::Admin, "f"),
    );
    assert_eq!(refusal(ours), Refusal::UnknownCaller);
    admins.unwrap();
    let caller = engine.authenticate(rotated.unwrap().token.expose()).unwrap();
    let (overlapping, ours) =
        tokio::join!(biased; engine.issue_token(&origin, &id, 60), engine.draw(caller, "f"));
    overlapping.unwrap();
    ours.unwrap();
    assert_counters_equal_events(&home).await;
    engine.close().await;
}

#[tokio::test]
async fn the_last_use_is_that_of_the_last_grant() {
    let home = Home::new();
    let engine = with_keys(&home, 1, Some(2)).await;
    let (_, token) = issued(&engine, "c", None).await;
    issued(&engine, "d", None).await;
    let caller = engine.authenticate(&token).unwrap();
    let last = |engine: &Engine| engine.consumers().into_iter().map(|it| it.last_used_at);
    assert_eq!(last(&engine).collect::<Vec<_>>(), [None, None]);
    for ms in [0, 70, 140] {
        assert_eq!(engine.draw(caller, "f").await.is_ok(), ms < 140, "the third is refused");
        home.clock.advance(Duration::from_millis(70));
    }
    assert_eq!(last(&engine).collect::<Vec<_>>(), [Some(after_start(70)), None]);
    engine.close().await;
    let engine = home.open().await;
    assert_eq!(last(&engine).collect::<Vec<_>>(), [Some(after_start(70)), None]);
    assert_eq!(home.number("SELECT last_event >> 21 FROM consumer_uses").await, START + 70);
    engine.close().await;
}

#[tokio::test]
async fn last_uses_are_noted_once_a_minute_at_most_and_at_the_end() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (_, token) = issued(&engine, "c", None).await;
    let caller = engine.authenticate(&token).unwrap();
    let noted = async || {
        let sql =
            "SELECT coalesce(max(last_event) >> 21, 0) FROM consumer_uses WHERE consumer_no = 1";
        (home.number(sql).await - START).max(0)
    };
    let mut all = Vec::new();
    for _ in 0..5 {
        engine.draw(caller, "f").await.unwrap();
        // By then the committer has had its turn behind the draw.
        engine.update_tier(&origin(), "t", Default::default()).await.unwrap();
        all.push(noted().await);
        home.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(all, [0, 0, 30_000, 30_000, 90_000], "before what is asked then");
    engine.draw(caller, "f").await.unwrap();
    engine.close().await;
    assert_eq!(noted().await, 150_000);
}

#[tokio::test]
async fn a_last_use_that_was_not_noted_is_found_after_a_crash() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (_, token) = issued(&engine, "c", None).await;
    let caller = engine.authenticate(&token).unwrap();
    engine.draw(caller, "f").await.unwrap();
    home.clock.advance(Duration::from_millis(5));
    value(&engine, "f").await;
    drop(engine);
    let engine = crate::restart::reopen(&home).await;
    assert_eq!(home.number("SELECT count(*) FROM consumer_uses").await, 0);
    assert_eq!(engine.consumers()[0].last_used_at, Some(after_start(0)));
    engine.close().await;
}

#[tokio::test]
async fn a_note_that_fails_fails_no_draw_and_is_made_with_the_next() {
    let home = Home::new();
    let engine = with_keys(&home, 1, None).await;
    let (_, token) = issued(&engine, "c", None).await;
    let caller = engine.authenticate(&token).unwrap();
    let mut intruder = home.intruder().await;
    let forbid =
        "CREATE TRIGGER no BEFORE INSERT ON consumer_uses BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(forbid).execute(&mut intruder).await.unwrap();
    for _ in 0..3 {
        engine.draw(caller, "f").await.unwrap();
        home.clock.advance(MINUTE);
    }
    assert_eq!(engine.consumers()[0].last_used_at, Some(after_start(120_000)));
    sqlx::query("DROP TRIGGER no").execute(&mut intruder).await.unwrap();
    engine.close().await;
    assert_eq!(home.number("SELECT last_event >> 21 FROM consumer_uses").await, START + 120_000);
}

/// Promise 8: the record of changes says what was done, and neither token nor digest.
#[tokio::test]
async fn changes_of_consumers_are_on_record_without_tokens() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let (id, token) = issued(&engine, "c", Some(after_start(60_000))).await;
    let changed = ConsumerPatch {
        name: Some("d".to_owned()),
        is_active: Some(false),
        expires_at: Some(None),
        description: Some(String::new()),
    };
    patch(&engine, &id, changed).await;
    let next = rotate(&engine, &id, 7).await;
    let keys = engine.tiers()[0].id.to_string();
    engine.delete_tier(&origin(), &keys).await.unwrap();
    let query = keypool_engine::ChangesQuery { limit: 9, before: None };
    let records = engine.changes(query).await.unwrap();
    let shown = |at: usize| {
        let record = &records[at];
        let text = |side: &Option<String>| side.clone().unwrap_or_default();
        (record.what.clone(), record.name.clone(), text(&record.before), text(&record.after))
    };
    let row = |what: &str, name: &str, before: &str, after: &str| {
        (what.to_owned(), name.to_owned(), before.to_owned(), after.to_owned())
    };
    assert_eq!(shown(0), row("remove_scope", "d", r#"{"scopes":["t"]}"#, r#"{"scopes":[]}"#));
    assert_eq!(
        (shown(1).0.as_str(), shown(1).1.as_str(), shown(1).3.as_str()),
        ("delete_tier", "t", "")
    );
    assert_eq!(shown(2), row("issue_token", "d", "{}", r#"{"overlap_seconds":7}"#));
    let before = r#"{"name":"c","is_active":true,"expires_at":"2027-01-15T08:01:00.000Z"}"#;
    let after = r#"{"name":"d","is_active":false,"expires_at":null}"#;
    assert_eq!(shown(3), row("update_consumer", "d", before, after));
    let added = r#"{"name":"c","description":"","is_active":true,"expires_at":"2027-01-15T08:01:00.000Z","scopes":["t"]}"#;
    assert_eq!(shown(4), row("add_consumer", "c", "", added));
    for secret in [token, next] {
        let digest = keypool_engine::TokenDigest::of(&secret).to_hex();
        let all = format!("{records:?}");
        assert!(!all.contains(&secret) && !all.contains(&digest));
    }
    engine.close().await;
}

/// The original allowed two consumers to hold the same token: the older one has it, until it has another.
#[tokio::test]
async fn a_token_of_two_consumers_is_the_older_ones() {
    let home = Home::new();
    let engine = with_keys(&home, 0, None).await;
    let (older, token) = issued(&engine, "older", None).await;
    issued(&engine, "younger", None).await;
    engine.close().await;
    let mut intruder = home.intruder().await;
    let same = "UPDATE consumers SET token_digest = (SELECT token_digest FROM consumers WHERE name = 'older')";
    sqlx::query(same).execute(&mut intruder).await.unwrap();
    let engine = home.try_open(Sealer::plain()).await.unwrap();
    let name = |engine: &Engine| {
        let caller = engine.authenticate(&token)?;
        engine.caller_name(caller).map(|name| name.to_string())
    };
    assert_eq!(name(&engine).as_deref(), Some("older"));
    rotate(&engine, &older, 60).await;
    assert_eq!(name(&engine).as_deref(), Some("older"));
    rotate(&engine, &older, 0).await;
    assert_eq!(name(&engine).as_deref(), Some("younger"));
    engine.close().await;
}
