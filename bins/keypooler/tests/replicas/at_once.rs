//! Promise 5 over replicas: what an admin changes through the first holds on the others from the moment of the answer.

use std::time::Instant;

use serde_json::{Value, json};

use crate::checker::check;
use crate::ledger::Ledger;
use crate::load::{Client, draw_while};
use crate::stage::{Stage, pause};
use crate::support::ADMIN_TOKEN;

const BACKGROUND: usize = 32;
const WATCHERS: usize = 8;
const ROUNDS: usize = 14;
const STANDS_MS: u64 = 30;

/// A state that is added and taken away, and who draws on it.
struct Change {
    what: &'static str,
    token: String,
    feature: String,
    add: Vec<(&'static str, String, Value)>,
    /// Method, path and body; `{id}` is that of what was added last.
    remove: (&'static str, String, Value),
    /// The answer to the last addition holds the token to draw with.
    brings_token: bool,
}

/// A state that stood: when the answer to its addition came, its removal was sent, and the answer to that came.
#[derive(Clone, Copy, Debug)]
struct Stood {
    from: Instant,
    removing: Instant,
    removed: Instant,
}

#[test]
fn what_is_added_or_deleted_through_one_replica_holds_on_the_others_at_once() {
    let stage = Stage::with(3);
    let features = json!({"busy": {"rate_limit": 1_000_000_000}});
    stage.admin(0, "POST", "/admin/tiers", &json!({"name": "busy", "features": features}));
    let busy: Vec<_> =
        (0..20).map(|n| json!({"name": format!("b{n}"), "key": "v", "tier": "busy"})).collect();
    stage.admin(0, "POST", "/admin/keys", &busy.into());
    let client = |number: usize| Client {
        replica: 1 + number % 2,
        token: ADMIN_TOKEN.to_owned(),
        feature: "busy".to_owned(),
        patience_ms: 5,
    };
    let clients: Vec<_> = (0..BACKGROUND).map(client).collect();
    let (mut ledger, watched) = draw_while(&stage, &clients, || {
        (0..ROUNDS)
            .flat_map(|round| changes(&stage, round))
            .map(|change| (change.what, watch(&stage, &change)))
            .collect::<Vec<_>>()
    });
    println!("behind it all: {:?}", ledger.summary());
    let (mut wrong, mut within, mut after) = (Vec::new(), 0, 0);
    for (what, (stood, seen)) in &watched {
        for entry in &seen.entries {
            let is_grant = entry.outcome.is_grant();
            if entry.sent > stood.from && entry.ended < stood.removing {
                within += 1;
                if !is_grant {
                    wrong.push(format!("{what} stood, and was refused: {entry:?} {stood:?}"));
                }
            } else if entry.sent > stood.removed {
                after += 1;
                if is_grant || entry.outcome.status() >= 500 {
                    wrong.push(format!("{what} was gone: {entry:?} {stood:?}"));
                }
            }
        }
    }
    println!("{within} draws while it stood, {after} after it was gone, {} changes", watched.len());
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}\n{}",
        wrong.len(),
        wrong.join("\n"),
        stage.complaints()
    );
    assert!(within > watched.len() && after > watched.len());
    assert_eq!(ledger.count(|entry| entry.outcome.status() != 200), 0, "{:?}", ledger.summary());
    ledger.entries.extend(watched.into_iter().flat_map(|(_, (_, seen))| seen.entries));
    assert_eq!(check(&stage.file(), &ledger).unrewarded(), 0);
}

/// A key in a tier, a consumer and a scope, each new, and each the only way to its feature.
fn changes(stage: &Stage, round: usize) -> Vec<Change> {
    let name = format!("r{round}");
    let features = json!({name.as_str(): {"rate_limit": 1_000_000_000}});
    let tier = json!({"name": name, "features": features});
    let key = json!({"name": format!("k{round}"), "key": "v", "tier": name});
    let admin = ADMIN_TOKEN.to_owned();
    let mut changes = vec![Change {
        what: "tier and key",
        token: admin,
        feature: name,
        add: vec![
            ("POST", "/admin/tiers".to_owned(), tier),
            ("POST", "/admin/keys".to_owned(), key),
        ],
        remove: ("DELETE", "/admin/keys/{id}".to_owned(), Value::Null),
        brings_token: false,
    }];
    let consumer = json!({"name": format!("c{round}")});
    changes.push(Change {
        what: "consumer",
        token: String::new(),
        feature: "busy".to_owned(),
        add: vec![
            ("POST", "/admin/consumers".to_owned(), consumer),
            ("POST", "/admin/consumers/{id}/scopes".to_owned(), json!({"tier": "busy"})),
        ],
        remove: ("DELETE", "/admin/consumers/{id}".to_owned(), Value::Null),
        brings_token: true,
    });
    let scoped = json!({"name": format!("d{round}")});
    let scoped = stage.admin(0, "POST", "/admin/consumers", &scoped);
    let consumer = format!("/admin/consumers/{}", scoped["id"].as_str().unwrap());
    let path = format!("{consumer}/scopes");
    let of_consumer = |what, add, remove| Change {
        what,
        token: scoped["token"].as_str().unwrap().to_owned(),
        feature: "busy".to_owned(),
        add,
        remove,
        brings_token: what == "token",
    };
    let scope = ("POST", path.clone(), json!({"tier": "busy"}));
    let no_scope = ("DELETE", format!("{path}/busy"), Value::Null);
    changes.push(of_consumer("scope", vec![scope.clone()], no_scope));
    let active = |is_active: bool| ("PATCH", consumer.clone(), json!({"is_active": is_active}));
    changes.push(of_consumer("active consumer", vec![scope, active(true)], active(false)));
    let token = |secs: u32| ("POST", format!("{consumer}/token"), json!({"overlap_seconds": secs}));
    changes.push(of_consumer("token", vec![active(true), token(60)], token(0)));
    changes
}

/// Makes a change and takes it back, and draws on it meanwhile through the other replicas.
fn watch(stage: &Stage, change: &Change) -> (Stood, Ledger) {
    let (mut id, mut token) = (String::new(), change.token.clone());
    for (method, path, body) in &change.add {
        let added = stage.admin(0, method, &path.replace("{id}", &id), body);
        if let Some(new) = added["id"].as_str() {
            new.clone_into(&mut id);
        }
        if let Some(new) = added["token"].as_str().filter(|_| change.brings_token) {
            new.clone_into(&mut token);
        }
    }
    let from = Instant::now();
    let client = |number: usize| Client {
        replica: 1 + number % 2,
        token: token.clone(),
        feature: change.feature.clone(),
        patience_ms: 5,
    };
    let clients: Vec<_> = (0..WATCHERS).map(client).collect();
    let (ledger, [removing, removed]) = draw_while(stage, &clients, || {
        pause(STANDS_MS);
        let removing = Instant::now();
        let (method, path, body) = &change.remove;
        stage.admin(0, method, &path.replace("{id}", &id), body);
        let removed = Instant::now();
        pause(STANDS_MS);
        [removing, removed]
    });
    (Stood { from, removing, removed }, ledger)
}
