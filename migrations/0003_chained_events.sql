-- Schema 3: the usage events of a key form a chain, in place of an index.
--
-- An index by key costs each batch of draws a page of its own for every key in it: with a few keys as much as all the
-- rest together, with many far more. Instead each event names the one before it of the same key, and budget_counters
-- the newest: the pages of one key are read by walking the chain, and nothing but the table's end is written.

DROP TRIGGER draw_batch_insert;
DROP VIEW draw_batch;

ALTER TABLE usage_events RENAME TO v2_usage_events;

-- The id is the grant's: its millisecond in 42 bits, a replica's number in 10, a sequence in 11.
-- previous is the id of the next older event of the same key, NULL in the oldest.
CREATE TABLE usage_events (
    id INTEGER PRIMARY KEY,
    key_no INTEGER NOT NULL REFERENCES keys(key_no),
    consumer_no INTEGER NOT NULL REFERENCES consumers(consumer_no),
    feature_no INTEGER NOT NULL REFERENCES features(feature_no),
    previous INTEGER,
    CONSTRAINT events_in_order CHECK (previous < id)
) STRICT;

INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
SELECT id, key_no, consumer_no, feature_no, (
    SELECT max(older.id) FROM v2_usage_events AS older WHERE older.key_no = event.key_no AND older.id < event.id
)
FROM v2_usage_events AS event ORDER BY id;

-- The newest event of the key; a deleted key has its row for this alone.
ALTER TABLE budget_counters ADD COLUMN newest_event INTEGER;

INSERT INTO budget_counters (key_no, used, window_start_ms, opening, opening_after)
SELECT key_no, 0, NULL, 0, (SELECT coalesce(max(id), 0) FROM v2_usage_events) FROM keys
WHERE key_no NOT IN (SELECT key_no FROM budget_counters);

UPDATE budget_counters SET newest_event = (
    SELECT max(id) FROM v2_usage_events AS event WHERE event.key_no = budget_counters.key_no
);

DROP TABLE v2_usage_events;

-- An event that takes its place in its key's chain wherever its id belongs: replicas may record out of order.
CREATE VIEW event_between (id, key_no, consumer_no, feature_no) AS SELECT 0, 0, 0, 0 WHERE 0;

CREATE TRIGGER event_between_insert INSTEAD OF INSERT ON event_between BEGIN
    -- It is entered as the oldest of all, then put between its neighbours: the next newer event of the key, if there is
    -- one, and the one before that.
    INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
    VALUES (NEW.id, NEW.key_no, NEW.consumer_no, NEW.feature_no, NULL);

    UPDATE usage_events SET previous = CASE usage_events.id WHEN NEW.id THEN neighbours.older ELSE NEW.id END
    FROM (
        SELECT newer.id AS newer, CASE WHEN newer.id IS NULL THEN b.newest_event ELSE newer.previous END AS older
        FROM budget_counters AS b LEFT JOIN usage_events AS newer ON newer.id = (
            WITH RECURSIVE walked (id, previous) AS (
                SELECT id, previous FROM usage_events WHERE id = b.newest_event AND id > NEW.id
                UNION ALL
                SELECT event.id, event.previous
                FROM walked CROSS JOIN usage_events AS event ON event.id = walked.previous
                WHERE event.id > NEW.id
            )
            SELECT min(id) FROM walked
        )
        WHERE b.key_no = NEW.key_no
    ) AS neighbours
    WHERE usage_events.id IN (NEW.id, neighbours.newer);

    UPDATE budget_counters SET newest_event = max(coalesce(newest_event, NEW.id), NEW.id) WHERE key_no = NEW.key_no;
END;

-- A batch of draws is one INSERT here, with JSON arrays as parameters:
--   events  [[id, key_no, consumer_no, feature_no, id of the same key's event before it in the batch or null], ...]
--   strays  the same without the last column, and instead of events: where an event is older than one of its key that is
--           on record. A batch with such an event among its events fails by the rule events_in_order
--   rates   [[key_no, feature_no, window start, count, first id, last id], ...] one for each key and feature
--   budgets [[key_no, window start or null, count, first id, last id], ...]    one for each key
-- The database judges by its own limits, and refuses the whole batch or takes all of it: a charge that it does not grant
-- changes no row.
CREATE VIEW draw_batch (revision, events, strays, rates, budgets) AS SELECT 0, '', '', '', '' WHERE 0;

CREATE TRIGGER draw_batch_insert INSTEAD OF INSERT ON draw_batch BEGIN
    SELECT RAISE(ABORT, 'keypooler: stale')
    WHERE (SELECT revision FROM pool) IS NOT NEW.revision;

    INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3,
        coalesce(value ->> 4, (SELECT newest_event FROM budget_counters WHERE key_no = value ->> 1))
    FROM json_each(NEW.events);

    INSERT INTO event_between (id, key_no, consumer_no, feature_no)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(NEW.strays);

    INSERT INTO rate_counters (key_no, feature_no, window_start_ms, used, window_first, last_grant)
    SELECT charge.key_no, charge.feature_no, charge.since, charge.count, charge.first, charge.last
    FROM (
        SELECT value ->> 0 AS key_no, value ->> 1 AS feature_no, value ->> 2 AS since, value ->> 3 AS count,
            value ->> 4 AS first, value ->> 5 AS last
        FROM json_each(NEW.rates)
    ) AS charge
    CROSS JOIN keys AS k ON k.key_no = charge.key_no
    CROSS JOIN tier_features AS f ON f.tier_no = k.tier_no AND f.feature_no = charge.feature_no
    WHERE charge.count BETWEEN 1 AND f.rate_limit AND charge.since IS NOT NULL
    ON CONFLICT (key_no, feature_no) DO UPDATE SET
        used = excluded.used + CASE WHEN window_start_ms = excluded.window_start_ms THEN used ELSE 0 END,
        window_first = CASE WHEN window_start_ms = excluded.window_start_ms
            THEN min(window_first, excluded.window_first) ELSE excluded.window_first END,
        window_start_ms = excluded.window_start_ms,
        last_grant = max(coalesce(last_grant, excluded.last_grant), excluded.last_grant)
    WHERE (
        SELECT CASE
            WHEN rate_counters.window_start_ms IS NULL THEN 1
            WHEN rate_counters.window_start_ms = excluded.window_start_ms
                THEN rate_counters.used + excluded.used <= f.rate_limit
            ELSE rate_counters.window_start_ms + f.window_secs * 1000 <= excluded.window_start_ms
            END
        FROM keys AS k CROSS JOIN tier_features AS f ON f.tier_no = k.tier_no AND f.feature_no = excluded.feature_no
        WHERE k.key_no = excluded.key_no
    );
    SELECT RAISE(ABORT, 'keypooler: spent') WHERE changes() <> json_array_length(NEW.rates);

    UPDATE budget_counters SET
        used = charge.count + CASE WHEN k.usage_window_secs IS NULL OR window_start_ms IS charge.since
            THEN used ELSE 0 END,
        opening = CASE WHEN k.usage_window_secs IS NULL OR window_start_ms IS charge.since THEN opening ELSE 0 END,
        opening_after = CASE WHEN k.usage_window_secs IS NULL THEN opening_after
            WHEN window_start_ms IS charge.since THEN min(opening_after, charge.first - 1)
            ELSE charge.first - 1 END,
        window_start_ms = CASE WHEN k.usage_window_secs IS NOT NULL THEN charge.since END,
        newest_event = max(coalesce(newest_event, charge.last), charge.last)
    FROM (
        SELECT value ->> 0 AS key_no, value ->> 1 AS since, value ->> 2 AS count, value ->> 3 AS first,
            value ->> 4 AS last
        FROM json_each(NEW.budgets)
    ) AS charge
    CROSS JOIN keys AS k ON k.key_no = charge.key_no
    WHERE budget_counters.key_no = charge.key_no
        AND k.deleted_ms IS NULL AND k.is_active = 1 AND charge.count > 0
        AND (k.expires_ms IS NULL OR k.expires_ms > (charge.last >> 21))
        AND CASE
            WHEN k.usage_limit IS NULL THEN 1
            WHEN k.usage_window_secs IS NULL OR budget_counters.window_start_ms = charge.since
                THEN budget_counters.used + charge.count <= k.usage_limit
            ELSE charge.count <= k.usage_limit AND charge.since IS NOT NULL
                AND (budget_counters.window_start_ms IS NULL
                    OR budget_counters.window_start_ms + k.usage_window_secs * 1000 <= charge.since)
            END;
    SELECT RAISE(ABORT, 'keypooler: spent') WHERE changes() <> json_array_length(NEW.budgets);
END;

-- The upgrade ends with the file rebuilt without the old table.
UPDATE pool SET tidy_due = 1;

INSERT INTO schema_migrations (version, name) VALUES (3, 'chained_events');
