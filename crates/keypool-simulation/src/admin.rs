//! The admin: furnishes the pool, then changes it, and writes down what is known of each change.

use std::sync::Arc;

use keypool_engine::{
    AdminError, ConsumerPatch, Engine, FeatureLimit, KeyPatch, NewConsumer, NewKey, NewTier, Plain,
    TierPatch, Unavailable,
};
use tokio::select;
use tokio::time::sleep;

use crate::clients::LONGEST;
use crate::ledger::{ConsumerFacts, KeyFacts, Known};
use crate::world::{World, origin};

/// What became of a change.
enum Made {
    Yes,
    /// Nothing was changed.
    No,
    Doubtful,
}

/// Tiers, keys and consumers, in fair weather.
pub(crate) async fn furnish(world: &World) {
    let (engine, _) = world.replicas[0].engine().expect("every replica was started");
    let chance = &world.chance;
    let limit = |calls, secs| FeatureLimit { rate_limit: calls, window_seconds: secs };
    let few = || i64::try_from(chance.between(1, 12)).unwrap_or(1);
    let wide = vec![
        ("search".to_owned(), limit(few(), few())),
        ("scrape".to_owned(), limit(few(), few())),
    ];
    let life = vec![("life".to_owned(), limit(1_000_000, 60))];
    for (name, features) in [("wide", wide), ("life", life)] {
        let tier = NewTier { name: name.to_owned(), description: String::new(), features };
        engine.add_tier(&origin(), tier).await.expect("the weather is fair");
    }
    for number in 0..chance.between(1, 5) {
        let limit = chance.per_mille(600).then(few);
        let window = limit.filter(|_| chance.per_mille(600)).map(|_| few());
        add_key(world, &engine, ("wide", number), limit, window).await;
    }
    for number in 0..chance.between(1, 3) {
        add_key(world, &engine, ("life", number), Some(few() * 3), None).await;
    }
    for number in 0..chance.between(0, 2) {
        let consumer = NewConsumer {
            name: format!("consumer-{number}"),
            scopes: vec!["wide".to_owned(), "life".to_owned()],
            ..NewConsumer::default()
        };
        let added = engine.add_consumer(&origin(), consumer).await.expect("the weather is fair");
        let facts = ConsumerFacts {
            name: number,
            token: added.token.expose().to_owned(),
            welcome: Known::So(true, world.moment()),
        };
        world.ledger().consumers.insert(added.id.to_string(), facts);
    }
}

async fn add_key(
    world: &World,
    engine: &Engine,
    (tier, number): (&str, u64),
    limit: Option<i64>,
    window_secs: Option<i64>,
) {
    let key = NewKey {
        name: format!("{tier}-{number}"),
        value: Plain::from(value(tier, number, 0)),
        tier: tier.to_owned(),
        expires_at: None,
        usage_limit: limit,
        usage_window_seconds: window_secs,
        metadata: None,
        secrets: Vec::new(),
    };
    let added = engine.add_key(&origin(), key).await.expect("the weather is fair");
    let facts = KeyFacts {
        name: format!("{tier}-{number}"),
        usable: Known::So(true, 0),
        version: Known::So(0, 0),
        versions: 0,
        limit,
        window_secs,
        is_of_life: tier == "life",
        is_touched: false,
    };
    world.ledger().keys.insert(added.key.id.to_string(), facts);
}

fn value(tier: &str, number: u64, version: u64) -> String {
    format!("value-{tier}-{number}-v{version}")
}

/// Changes something now and then until the history is over.
pub(crate) async fn change_on(world: Arc<World>) {
    while !world.is_over() {
        sleep(world.chance.millis(50, 2_500)).await;
        let Some((engine, killed)) = world.replica().engine() else { continue };
        let change = change(&world, &engine);
        // What is asked of a replica that is killed stays unknown: the ledger says so already.
        select! {
            biased;
            () = change => {}
            () = killed.notified() => {}
            () = sleep(LONGEST) => {
                world.violated("9 (no input hangs)", "a change is not answered".to_owned());
            }
        }
    }
}

async fn change(world: &World, engine: &Engine) {
    match world.chance.between(0, 9) {
        0..=2 => switch_key(world, engine).await,
        3 | 4 => rotate_value(world, engine).await,
        5 => touch_limits(world, engine).await,
        6 => change_rate(world, engine).await,
        7 | 8 => switch_consumer(world, engine).await,
        _ => delete_key(world, engine).await,
    }
}

/// A key, in the order of their names, as their ids are another set each time.
fn some_key(world: &World) -> (String, KeyFacts) {
    let ledger = world.ledger();
    let mut keys: Vec<_> = ledger.keys.iter().collect();
    keys.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let (id, facts) = keys[world.chance.index(keys.len())];
    (id.clone(), facts.clone())
}

fn made<T>(world: &World, outcome: &Result<T, AdminError>) -> Made {
    match outcome {
        Ok(_) => {
            world.history().changes += 1;
            world.note(4);
            Made::Yes
        }
        Err(AdminError::Unavailable(Unavailable::InDoubt)) => Made::Doubtful,
        Err(_) => Made::No,
    }
}

/// What is known when a change has ended.
fn after<T>(world: &World, made: &Made, before: Known<T>, now: T) -> Known<T> {
    match made {
        Made::Yes => Known::So(now, world.moment()),
        Made::No => before,
        Made::Doubtful => Known::Unsure,
    }
}

async fn switch_key(world: &World, engine: &Engine) {
    let (id, before) = some_key(world);
    let to = world.chance.per_mille(500);
    set_usable(world, &id, Known::Unsure);
    let patch = KeyPatch { is_active: Some(to), ..KeyPatch::default() };
    let made = made(world, &engine.update_key(&origin(), &id, patch).await);
    set_usable(world, &id, after(world, &made, before.usable, to));
}

async fn delete_key(world: &World, engine: &Engine) {
    if world.chance.per_mille(700) {
        return;
    }
    let (id, before) = some_key(world);
    set_usable(world, &id, Known::Unsure);
    let made = made(world, &engine.delete_key(&origin(), &id).await);
    set_usable(world, &id, after(world, &made, before.usable, false));
}

fn set_usable(world: &World, id: &str, usable: Known<bool>) {
    if let Some(key) = world.ledger().keys.get_mut(id) {
        key.usable = usable;
    }
}

async fn rotate_value(world: &World, engine: &Engine) {
    let (id, before) = some_key(world);
    let to = before.versions + 1;
    let set = |version, versions| {
        if let Some(key) = world.ledger().keys.get_mut(&id) {
            (key.version, key.versions) = (version, versions);
        }
    };
    set(Known::Unsure, to);
    let value = format!("value-{}-v{to}", before.name);
    let patch = KeyPatch { value: Some(Plain::from(value)), ..KeyPatch::default() };
    let made = made(world, &engine.update_key(&origin(), &id, patch).await);
    set(after(world, &made, before.version, to), to);
}

async fn touch_limits(world: &World, engine: &Engine) {
    let (id, before) = some_key(world);
    if before.limit.is_none() {
        return;
    }
    if let Some(key) = world.ledger().keys.get_mut(&id) {
        key.is_touched = true;
    }
    let number = |low, high| i64::try_from(world.chance.between(low, high)).unwrap_or(1);
    let patch = if world.chance.per_mille(500) {
        KeyPatch { usage_limit: Some(Some(number(1, 30))), ..KeyPatch::default() }
    } else {
        // Within any limit that it may have.
        KeyPatch { usage_count: Some(number(0, 1)), ..KeyPatch::default() }
    };
    made(world, &engine.update_key(&origin(), &id, patch).await);
}

async fn change_rate(world: &World, engine: &Engine) {
    let few = || i64::try_from(world.chance.between(1, 12)).unwrap_or(1);
    let features = engine.tiers().into_iter().find(|tier| &*tier.name == "wide");
    let Some(tier) = features else { return };
    // Windows keep their lengths, so that the witness can tell when one ends.
    let features = tier.features.iter().map(|feature| {
        let limit = FeatureLimit { rate_limit: few(), window_seconds: feature.window_seconds };
        (feature.name.to_string(), limit)
    });
    let patch = TierPatch { features: Some(features.collect()), ..TierPatch::default() };
    made(world, &engine.update_tier(&origin(), &tier.id, patch).await);
}

async fn switch_consumer(world: &World, engine: &Engine) {
    let Some(id) = ({
        let ledger = world.ledger();
        let mut consumers: Vec<_> = ledger.consumers.iter().collect();
        consumers.sort_by_key(|(_, facts)| facts.name);
        let count = consumers.len().max(1);
        consumers.get(world.chance.index(count)).map(|(id, _)| (*id).clone())
    }) else {
        return;
    };
    let set = |welcome| {
        let mut ledger = world.ledger();
        let facts = ledger.consumers.get_mut(&id).expect("consumers stay");
        std::mem::replace(&mut facts.welcome, welcome)
    };
    let to = world.chance.per_mille(500);
    let before = set(Known::Unsure);
    let patch = ConsumerPatch { is_active: Some(to), ..ConsumerPatch::default() };
    let made = made(world, &engine.update_consumer(&origin(), &id, patch).await);
    set(after(world, &made, before, to));
}
