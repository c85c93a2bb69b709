//! Looks into the database past the network: whether what was granted is on record, and whether any write breaks a limit.

use keypool_engine::Cell;

use crate::ledger::Received;
use crate::world::World;

/// Whatever is written is judged by these, apart from the program's own rules.
const INSTALL: &str = "
    CREATE TABLE witness (seen TEXT NOT NULL);

    CREATE TRIGGER witness_event AFTER INSERT ON usage_events BEGIN
        INSERT INTO witness SELECT 'event ' || NEW.id || ' of a key that is inactive, expired or deleted'
        FROM keys AS k WHERE k.key_no = NEW.key_no
            AND (k.is_active = 0 OR k.deleted_ms IS NOT NULL OR k.expires_ms <= NEW.id >> 21);
        INSERT INTO witness SELECT 'event ' || NEW.id || ' of a consumer that is inactive or deleted'
        FROM consumers AS c WHERE c.consumer_no = NEW.consumer_no AND c.consumer_no <> 0
            AND (c.is_active = 0 OR c.deleted_ms IS NOT NULL);
        INSERT INTO witness SELECT 'event ' || NEW.id || ' outside of its consumer''s scope'
        FROM keys AS k WHERE k.key_no = NEW.key_no AND NEW.consumer_no <> 0 AND NOT EXISTS (
            SELECT 1 FROM consumer_scopes AS s WHERE s.consumer_no = NEW.consumer_no AND s.tier_no = k.tier_no);
    END;

    CREATE TRIGGER witness_budget AFTER UPDATE OF used, window_start_ms ON budget_counters BEGIN
        INSERT INTO witness SELECT 'budget of ' || k.name || ': ' || NEW.used || ' of ' || k.usage_limit
        FROM keys AS k WHERE k.key_no = NEW.key_no AND NEW.used > OLD.used AND NEW.used > k.usage_limit;
        INSERT INTO witness SELECT 'budget window of ' || k.name || ' began anew within itself'
        FROM keys AS k WHERE k.key_no = NEW.key_no AND NEW.window_start_ms <> OLD.window_start_ms
            AND NEW.window_start_ms < OLD.window_start_ms + k.usage_window_secs * 1000;
    END;

    CREATE TRIGGER witness_rate AFTER UPDATE OF used, window_start_ms ON rate_counters BEGIN
        INSERT INTO witness SELECT 'rate of ' || k.name || ': ' || NEW.used || ' of ' || f.rate_limit
        FROM keys AS k JOIN tier_features AS f ON f.tier_no = k.tier_no AND f.feature_no = NEW.feature_no
        WHERE k.key_no = NEW.key_no AND NEW.used > OLD.used AND NEW.used > f.rate_limit;
        INSERT INTO witness SELECT 'rate window of ' || k.name || ' began anew within itself'
        FROM keys AS k JOIN tier_features AS f ON f.tier_no = k.tier_no AND f.feature_no = NEW.feature_no
        WHERE k.key_no = NEW.key_no AND NEW.window_start_ms <> OLD.window_start_ms
            AND NEW.window_start_ms < OLD.window_start_ms + f.window_secs * 1000;
    END;";

/// Counters that are not their opening balance plus their events, and events that are not a chain.
const CONTRADICTIONS: &str = "
    SELECT 'budget of ' || k.name || ': ' || b.used || ' is not ' || b.opening || ' + ' || (SELECT count(*) FROM usage_events AS e
        WHERE e.key_no = b.key_no AND e.id > b.opening_after)
    FROM budget_counters AS b JOIN keys AS k USING (key_no)
    WHERE b.used <> b.opening + (SELECT count(*) FROM usage_events AS e WHERE e.key_no = b.key_no AND e.id > b.opening_after)
    UNION ALL
    SELECT 'rate of ' || k.name || ': ' || r.used || ' is not what its events amount to'
    FROM rate_counters AS r JOIN keys AS k USING (key_no)
    LEFT JOIN rate_openings AS o ON o.key_no = r.key_no AND o.feature_no = r.feature_no
        AND o.window_start_ms = r.window_start_ms
    WHERE r.used <> coalesce(o.events, 0) + (SELECT count(*) FROM usage_events AS e
        WHERE e.key_no = r.key_no AND e.feature_no = r.feature_no AND e.id >= r.window_first)
    UNION ALL
    SELECT 'event ' || id || ' does not name the one before it'
    FROM (SELECT id, previous, lag(id) OVER (PARTITION BY key_no ORDER BY id) AS older FROM usage_events)
    WHERE previous IS NOT older";

const EVENT: &str = "
    SELECT k.key_uuid, f.name, c.consumer_uuid, c.consumer_no FROM usage_events AS e
    JOIN keys AS k USING (key_no) JOIN features AS f USING (feature_no) JOIN consumers AS c USING (consumer_no)
    WHERE e.id = ?1";

/// Takes its seat.
pub(crate) fn install(world: &World) {
    world.server.run(INSTALL).expect("the schema is today's");
}

/// Promise 2: whoever has a grant finds its event.
pub(crate) fn look_for_event(world: &World, id: i64, grant: &Received) {
    let found = look_with(world, EVENT, &[id]);
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Int(_) | Cell::Null => String::new(),
    };
    let is_right = found.first().is_some_and(|row| {
        let is_admin = row[3] == Cell::Int(0);
        text(&row[0]) == grant.key_id
            && text(&row[1]) == grant.feature
            && match &grant.consumer {
                None => is_admin,
                Some(consumer) => !is_admin && text(&row[2]) == *consumer,
            }
    });
    if !is_right {
        let what = format!("a key was handed out, and usage event {id} says {found:?}");
        world.violated("2 (never unrecorded)", what);
    }
}

/// Promise 3, at any moment.
pub(crate) fn look_at_counters(world: &World) {
    for row in look(world, CONTRADICTIONS) {
        world.violated("3 (never lost)", format!("{row:?}"));
    }
}

/// Promise 1: what was written against a limit.
pub(crate) fn look_at_writes(world: &World) {
    for row in look(world, "SELECT seen FROM witness") {
        world.violated("1 (never over)", format!("{row:?}"));
    }
}

pub(crate) fn look(world: &World, sql: &str) -> Vec<Vec<Cell>> {
    look_with(world, sql, &[])
}

fn look_with(world: &World, sql: &str, numbers: &[i64]) -> Vec<Vec<Cell>> {
    world.server.look(sql, numbers).expect("the schema is today's")
}
