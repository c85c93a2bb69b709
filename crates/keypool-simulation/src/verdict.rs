//! The end of a history: the trouble is over, and everything has to be well again, without help.

use std::collections::BTreeMap;
use std::time::Duration;

use keypool_engine::{Caller, Cell, DrawError};
use tokio::time::{Instant, sleep, timeout};

use crate::clients::{self, Outcome};
use crate::ledger::{Doubt, Known};
use crate::witness;
use crate::world::World;

/// Lets replicas come back, then looks at everything.
pub(crate) async fn find(world: &World, until_well: Duration, until_all_arrived: Duration) {
    world.network.clear();
    let begun = Instant::now();
    for (number, replica) in world.replicas.iter().enumerate() {
        if replica.engine().is_none() && timeout(until_well, replica.start()).await.is_err() {
            world.violated("resumes", format!("replica {number} does not start"));
        }
    }
    sleep((begun + until_well).saturating_duration_since(Instant::now())).await;
    for number in 0..world.replicas.len() {
        let Some((engine, _)) = world.replicas[number].engine() else { continue };
        let asked = world.asked();
        let outcome = timeout(until_well, clients::draw(&engine, None, "search")).await;
        match outcome {
            Ok(outcome @ (Outcome::Served(_) | Outcome::Refused)) => {
                clients::settle(world, outcome, asked, "search", None);
            }
            Ok(Outcome::Failed | Outcome::Doubtful) | Err(_) => {
                world.violated("resumes", format!("replica {number} does not serve after 5 s"));
                clients::settle(world, Outcome::Doubtful, asked, "search", None);
            }
        }
    }
    sleep(until_all_arrived).await;
    witness::look_at_counters(world);
    drain(world).await;
    witness::look_at_counters(world);
    witness::look_at_writes(world);
    look_at_ledger(world);
}

/// Nothing that was given back is lost: keys with a budget for life are drawn to its end, and that is exactly their budget.
async fn drain(world: &World) {
    let Some((engine, _)) = world.replicas[0].engine() else { return };
    loop {
        let asked = world.asked();
        match engine.draw(Caller::Admin, "life").await {
            Ok(served) => clients::settle(world, Outcome::Served(served), asked, "life", None),
            Err(DrawError::Refused(_)) => break,
            Err(DrawError::Unavailable(error)) => {
                world.violated("resumes", format!("a draw fails in fair weather: {error}"));
                break;
            }
        }
    }
    let left = "SELECT k.name, b.used, k.usage_limit FROM keys AS k JOIN budget_counters AS b USING (key_no)
        JOIN tiers AS t USING (tier_no) WHERE t.name = 'life' AND k.deleted_ms IS NULL AND k.is_active = 1
        AND b.used < k.usage_limit";
    for row in witness::look(world, left) {
        world.violated("2 (a failed draw gives back)", format!("refused with units left: {row:?}"));
    }
}

/// How far a replica's time may be off the database's clock, in milliseconds: an answer may be so long on its way.
const SLACK_MS: i64 = 1_500;

/// A usage event as the database has it.
struct Event {
    id: i64,
    key: String,
    feature: String,
    /// None for the admin.
    consumer: Option<String>,
}

fn events(world: &World) -> Vec<Event> {
    let rows = witness::look(
        world,
        "SELECT e.id, k.key_uuid, f.name, iif(c.consumer_no = 0, NULL, c.consumer_uuid) FROM usage_events AS e
         JOIN keys AS k USING (key_no) JOIN features AS f USING (feature_no) JOIN consumers AS c USING (consumer_no)
         ORDER BY e.id",
    );
    let event = |row: Vec<Cell>| match <[Cell; 4]>::try_from(row) {
        Ok([Cell::Int(id), Cell::Text(key), Cell::Text(feature), consumer]) => {
            let consumer = match consumer {
                Cell::Text(id) => Some(id),
                Cell::Int(_) | Cell::Null => None,
            };
            Event { id, key, feature, consumer }
        }
        other => unreachable!("an event is a number and three texts: {other:?}"),
    };
    rows.into_iter().map(event).collect()
}

/// Promise 2 as its clients see it, and the budgets that were never touched.
fn look_at_ledger(world: &World) {
    let events = events(world);
    let (mut charged_only, mut wrong) = (0, Vec::new());
    {
        let ledger = world.ledger();
        let mut doubts: Vec<_> = ledger.doubts.iter().collect();
        doubts.sort_by_key(|doubt| doubt.ended_ms);
        let mut recorded = BTreeMap::new();
        for event in &events {
            *recorded.entry(event.key.as_str()).or_insert(0_i64) += 1;
            if ledger.grants.contains_key(&event.id) {
                continue;
            }
            charged_only += 1;
            let at_ms = event.id >> 21;
            let fits = |doubt: &&Doubt| {
                doubt.feature == event.feature
                    && doubt.consumer == event.consumer
                    && (doubt.asked_ms - SLACK_MS..=doubt.ended_ms + SLACK_MS).contains(&at_ms)
            };
            match doubts.iter().position(fits) {
                Some(place) => drop(doubts.remove(place)),
                None => wrong
                    .push(format!("event {} reached nobody, and no draw was in doubt", event.id)),
            }
        }
        if events.len() as u64 != charged_only + ledger.grants.len() as u64 {
            wrong.push(format!("{} grants, {} events", ledger.grants.len(), events.len()));
        }
        for (id, key) in &ledger.keys {
            let used = recorded.get(id.as_str()).copied().unwrap_or(0);
            let is_for_life = key.window_secs.is_none() && !key.is_touched;
            if let Some(limit) = key.limit.filter(|limit| is_for_life && used > *limit) {
                wrong.push(format!("{used} events of {id}, whose budget for life is {limit}"));
            }
            let is_drained = key.is_of_life && is_for_life && key.usable == Known::So(true, 0);
            if let Some(limit) = key.limit.filter(|limit| is_drained && used != *limit) {
                wrong.push(format!("{used} events of {id}, drawn to the end of its {limit}"));
            }
        }
    }
    world.history().charged_only = charged_only;
    for what in wrong {
        world.violated("2 (never unrecorded)", what);
    }
}
