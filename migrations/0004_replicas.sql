-- Schema 4: several replicas on one database.
--
-- The batch says who sends it, when, and for which schema, and the database refuses it by its own clock and rows. Every
-- row that an admin can change carries the revision that it was changed at, so that a replica reads what changed only.

DROP TRIGGER draw_batch_insert;
DROP VIEW draw_batch;
DROP TRIGGER event_between_insert;
DROP VIEW event_between;

-- Who may write. A replica's number goes into the ids of its grants. Its fence is a number that it alone knows and that
-- each of its writes carries: once the fence is another, nothing that was sent under the old one can arrive any more.
CREATE TABLE replicas (
    replica_no INTEGER PRIMARY KEY CHECK (replica_no BETWEEN 0 AND 1023),
    fence INTEGER NOT NULL
) STRICT;

-- One row for each revision that an admin change made, so that a change whose answer was lost is found by its id. Where
-- rows are missing, the pool was changed by other means.
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    change_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

-- The revision at which a row, or what belongs to it (features of a tier, secrets of a key, scopes of a consumer), was
-- changed last.
ALTER TABLE tiers ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consumers ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tiers_by_revision ON tiers(revision);
CREATE INDEX keys_by_revision ON keys(revision);
CREATE INDEX consumers_by_revision ON consumers(revision);

-- A fence takes the place of this number. is_copying is 1 while a pool is copied into the database.
ALTER TABLE pool DROP COLUMN overwrites;
ALTER TABLE pool ADD COLUMN is_copying INTEGER NOT NULL DEFAULT 0 CHECK (is_copying IN (0, 1));

-- Events that may have come out of order, as draw_batch takes them.
CREATE VIEW stray_events (strays) AS SELECT '' WHERE 0;

CREATE TRIGGER stray_events_insert INSTEAD OF INSERT ON stray_events BEGIN
    INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, coalesce(value ->> 4, b.newest_event)
    FROM json_each(NEW.strays) CROSS JOIN budget_counters AS b ON b.key_no = value ->> 1
    WHERE coalesce(value ->> 5 > b.newest_event, 1);

    INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, NULL
    FROM json_each(NEW.strays) CROSS JOIN budget_counters AS b ON b.key_no = value ->> 1
    WHERE value ->> 5 <= b.newest_event;

    -- Those are put in their places, key by key: the chain is walked from its newest event to the first that is older than
    -- all of the batch, and what was walked and what is new form one chain in the order of their ids.
    UPDATE usage_events SET previous = merged.previous
    FROM (
        WITH RECURSIVE
        strays (key_no, id, first) AS MATERIALIZED (
            SELECT b.key_no, value ->> 0, value ->> 5
            FROM json_each(NEW.strays) CROSS JOIN budget_counters AS b ON b.key_no = value ->> 1
            WHERE value ->> 5 <= b.newest_event
        ),
        walked (key_no, id, previous, first) AS (
            SELECT newest.key_no, newest.id, newest.previous, strays.first
            FROM strays CROSS JOIN budget_counters AS b ON b.key_no = strays.key_no
            CROSS JOIN usage_events AS newest ON newest.id = b.newest_event
            WHERE strays.id = strays.first
            UNION ALL
            SELECT event.key_no, event.id, event.previous, walked.first
            FROM walked CROSS JOIN usage_events AS event ON event.id = walked.previous
            WHERE walked.id > walked.first
        )
        SELECT id, lag(id) OVER (PARTITION BY key_no ORDER BY id) AS previous
        FROM (SELECT key_no, id FROM walked UNION ALL SELECT key_no, id FROM strays)
    ) AS merged
    WHERE usage_events.id = merged.id AND merged.previous IS NOT NULL;
END;

-- A batch of draws is one INSERT here, with JSON arrays as parameters:
--   first    the id of its first event, null where it has none
--   schema   the schema version that the sender knows
--   replica, fence  the sender
--   sent_ms, leeway_ms  when it was sent, by the database's clock, and how far off that may be; null is however far
--   events   [[id, key_no, consumer_no, feature_no, id of the same key's event before it in the batch or null], ...]
--            each newer than all of its key on record. A batch with another among them fails by the rule events_in_order
--   strays   [[the same five, id of the same key's first event in the batch], ...] instead of events, where other
--            replicas write as well: each is put in its place
--   rates    [[key_no, feature_no, window start, count, first id, last id], ...] one for each key and feature
--   budgets  [[key_no, window start or null, count, first id, last id], ...]    one for each key
-- The database judges by its own limits, and refuses the whole batch or takes all of it: a charge that it does not grant
-- changes no row. That it was taken already is said first, whatever has changed since.
CREATE VIEW draw_batch (first, schema, replica, fence, sent_ms, leeway_ms, revision, events, strays, rates, budgets) AS
SELECT 0, 0, 0, 0, 0, 0, 0, '', '', '', '' WHERE 0;

CREATE TRIGGER draw_batch_insert INSTEAD OF INSERT ON draw_batch BEGIN
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM usage_events WHERE id = NEW.first) THEN RAISE(ABORT, 'keypooler: repeated')
        WHEN (SELECT max(version) FROM schema_migrations) <> NEW.schema THEN RAISE(ABORT, 'keypooler: upgraded')
        WHEN abs(CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) - NEW.sent_ms) > NEW.leeway_ms
            THEN RAISE(ABORT, 'keypooler: clock')
        WHEN (SELECT fence FROM replicas WHERE replica_no = NEW.replica) IS NOT NEW.fence
            THEN RAISE(ABORT, 'keypooler: fenced')
        WHEN (SELECT revision FROM pool) IS NOT NEW.revision AND (
            -- Changes of other rows than those that the batch rests on do not make it stale, if all are accounted for.
            (SELECT revision FROM pool) - NEW.revision
                IS NOT (SELECT count(*) FROM changes WHERE revision > NEW.revision)
            OR EXISTS (
                SELECT 1 FROM json_each(NEW.budgets) CROSS JOIN keys AS k ON k.key_no = value ->> 0
                CROSS JOIN tiers AS t ON t.tier_no = k.tier_no
                WHERE k.revision > NEW.revision OR t.revision > NEW.revision
            )
            OR EXISTS (
                SELECT 1 FROM consumers AS c WHERE c.revision > NEW.revision AND c.consumer_no IN (
                    SELECT value ->> 2 FROM json_each(NEW.events)
                    UNION ALL SELECT value ->> 2 FROM json_each(NEW.strays)
                )
            )
        ) THEN RAISE(ABORT, 'keypooler: stale')
    END;

    INSERT INTO usage_events (id, key_no, consumer_no, feature_no, previous)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3,
        coalesce(value ->> 4, (SELECT newest_event FROM budget_counters WHERE key_no = value ->> 1))
    FROM json_each(NEW.events);

    INSERT INTO stray_events (strays) SELECT NEW.strays WHERE NEW.strays <> '[]';

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

INSERT INTO schema_migrations (version, name) VALUES (4, 'replicas');
