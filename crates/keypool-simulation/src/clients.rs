//! Clients: each draws on, now here, now there, and holds what it is answered against what is known.

use std::sync::Arc;
use std::time::Duration;

use keypool_engine::{Caller, DrawError, Engine, Served, Unavailable};
use tokio::select;
use tokio::time::sleep;

use crate::ledger::{Asked, Doubt, Known, Received};
use crate::witness;
use crate::world::World;

/// What is drawn for.
pub(crate) const FEATURES: [&str; 3] = ["search", "scrape", "life"];

/// Whatever the database does, everybody is answered by then.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// What became of a draw.
pub(crate) enum Outcome {
    Served(Served),
    Refused,
    /// Nothing was used up.
    Failed,
    /// Nobody knows: no answer came, or one that says so.
    Doubtful,
}

/// Draws until the history is over.
pub(crate) async fn draw_on(world: Arc<World>) {
    while !world.is_over() {
        let pause = if world.chance.per_mille(20) { 5_000 } else { 120 };
        sleep(world.chance.millis(0, pause)).await;
        draw_once(&world).await;
    }
}

async fn draw_once(world: &World) {
    let Some((engine, killed)) = world.replica().engine() else { return };
    let feature = FEATURES[world.chance.index(FEATURES.len())];
    let consumer = somebody(world);
    let token = consumer.as_ref().map(|id| world.ledger().consumers[id].token.clone());
    let asked = world.asked();
    world.history().draws += 1;
    let outcome = select! {
        biased;
        outcome = draw(&engine, token.as_deref(), feature) => outcome,
        () = killed.notified() => Outcome::Doubtful,
        () = sleep(LONGEST) => {
            world.violated("9 (no input hangs)", format!("a draw of {feature} by {consumer:?} is not answered"));
            Outcome::Doubtful
        }
    };
    settle(world, outcome, asked, feature, consumer.as_ref());
}

/// The admin, or a consumer.
fn somebody(world: &World) -> Option<String> {
    let ledger = world.ledger();
    let which = world.chance.index(ledger.consumers.len() + 1);
    // In the order of their names, as their ids are another set each time.
    let mut consumers: Vec<_> = ledger.consumers.iter().collect();
    consumers.sort_by_key(|(_, facts)| facts.name);
    consumers.get(which).map(|(id, _)| (*id).clone())
}

/// As the HTTP layer does: whoever is not known is asked for once more when memory is current.
pub(crate) async fn draw(engine: &Engine, token: Option<&str>, feature: &str) -> Outcome {
    let caller = match token {
        None => Caller::Admin,
        Some(token) => match engine.authenticate(token) {
            Some(caller) => caller,
            None => match engine.confirm_current().await {
                Err(_) => return Outcome::Failed,
                Ok(()) => match engine.authenticate(token) {
                    None => return Outcome::Refused,
                    Some(caller) => caller,
                },
            },
        },
    };
    match engine.draw(caller, feature).await {
        Ok(served) => Outcome::Served(served),
        Err(DrawError::Refused(_)) => Outcome::Refused,
        Err(DrawError::Unavailable(Unavailable::InDoubt)) => Outcome::Doubtful,
        Err(DrawError::Unavailable(_)) => Outcome::Failed,
    }
}

/// Writes the outcome down, and looks whether it may be so.
pub(crate) fn settle(
    world: &World,
    outcome: Outcome,
    asked: Asked,
    feature: &'static str,
    consumer: Option<&String>,
) {
    match outcome {
        Outcome::Refused => {
            world.note(1);
            world.history().refusals += 1;
        }
        Outcome::Failed => {
            world.note(2);
            world.history().failures += 1;
        }
        Outcome::Doubtful => {
            world.note(3);
            world.history().failures += 1;
            let consumer = consumer.cloned();
            let (asked_ms, ended_ms) = (asked.at_ms, world.now_ms());
            world.ledger().doubts.push(Doubt { feature, consumer, asked_ms, ended_ms });
        }
        Outcome::Served(served) => received(world, &served, asked, feature, consumer),
    }
}

fn received(
    world: &World,
    served: &Served,
    asked: Asked,
    feature: &'static str,
    consumer: Option<&String>,
) {
    world.history().grants += 1;
    let id = i64::from_str_radix(&served.draw_id.to_string(), 16).unwrap_or(0);
    world.note(id.unsigned_abs());
    let key_id = served.key_id.to_string();
    let grant = Received { key_id: key_id.clone(), feature, consumer: consumer.cloned() };
    witness::look_for_event(world, id, &grant);

    let mut wrong = Vec::new();
    {
        let mut ledger = world.ledger();
        if ledger.grants.insert(id, grant).is_some() {
            wrong.push(("2 (never unrecorded)", format!("two grants are usage event {id}")));
        }
        if let Some(key) = ledger.keys.get(&key_id) {
            if let Known::So(false, since) = key.usable
                && since < asked.moment
            {
                wrong.push((
                    "5 (at once)",
                    format!("{key_id} was granted, and is deactivated or deleted"),
                ));
            }
            if let Known::So(version, since) = key.version
                && since < asked.moment
                && !served.value.expose().ends_with(&format!("-v{version}"))
            {
                wrong.push(("5 (at once)", format!("{key_id} was granted with a value of before")));
            }
        }
        let welcome = consumer.map(|id| &ledger.consumers[id].welcome);
        if let Some(Known::So(false, since)) = welcome
            && *since < asked.moment
        {
            wrong.push(("5 (at once)", "a consumer was served that is deactivated".to_owned()));
        }
    }
    for (promise, what) in wrong {
        world.violated(promise, what);
    }
}
