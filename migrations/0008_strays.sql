-- Schema 8: counters stay equal to opening balances plus usage events, to the unit, where events of several replicas arrive
-- out of order.
--
-- An event may be older than the moment that its counter's balance was struck at, or than the first event of its window, and
-- count all the same: replicas' clocks differ by less than a second. No earlier moment would do, as it would count what
-- stood there before a second time. So such an event goes to the opening balance.

DROP TRIGGER draw_batch_insert;

-- The opening balance of a rate counter: those of its window's events that are not there from window_first on, pruned or
-- older. It counts while the counter is in that window. A budget counter has its own.
ALTER TABLE pruned_rates RENAME TO rate_openings;

-- Where that went wrong before, a balance is struck now: what was counted stays counted.
CREATE TABLE spoiled_counters (key_no INTEGER NOT NULL, feature_no INTEGER) STRICT;

INSERT INTO spoiled_counters (key_no, feature_no)
SELECT b.key_no, NULL
FROM budget_counters AS b LEFT JOIN (
    SELECT e.key_no, count(*) AS events
    FROM usage_events AS e CROSS JOIN budget_counters AS b ON b.key_no = e.key_no
    WHERE e.id > b.opening_after GROUP BY e.key_no
) AS since ON since.key_no = b.key_no
WHERE b.used <> b.opening + coalesce(since.events, 0);

INSERT INTO spoiled_counters (key_no, feature_no)
SELECT r.key_no, r.feature_no
FROM rate_counters AS r
LEFT JOIN rate_openings AS o ON o.key_no = r.key_no AND o.feature_no = r.feature_no
    AND o.window_start_ms = r.window_start_ms
LEFT JOIN (
    SELECT e.key_no, e.feature_no, count(*) AS events
    FROM usage_events AS e
    CROSS JOIN rate_counters AS r ON r.key_no = e.key_no AND r.feature_no = e.feature_no
    WHERE e.id >= r.window_first GROUP BY e.key_no, e.feature_no
) AS since ON since.key_no = r.key_no AND since.feature_no = r.feature_no
WHERE r.window_first IS NOT NULL AND r.used <> coalesce(o.events, 0) + coalesce(since.events, 0);

UPDATE budget_counters SET opening = used, opening_after = coalesce(newest_event, opening_after)
WHERE key_no IN (SELECT key_no FROM spoiled_counters WHERE feature_no IS NULL);

DELETE FROM rate_openings WHERE (key_no, feature_no) IN (SELECT key_no, feature_no FROM spoiled_counters);

INSERT INTO rate_openings (key_no, feature_no, window_start_ms, events)
SELECT r.key_no, r.feature_no, r.window_start_ms, r.used FROM rate_counters AS r
CROSS JOIN spoiled_counters AS s ON s.key_no = r.key_no AND s.feature_no = r.feature_no
WHERE r.used > 0;

UPDATE rate_counters SET window_first = coalesce(last_grant, window_first) + 1
WHERE (key_no, feature_no) IN (SELECT key_no, feature_no FROM spoiled_counters);

DROP TABLE spoiled_counters;

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
            THEN window_first ELSE excluded.window_first END,
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

    INSERT INTO rate_openings (key_no, feature_no, window_start_ms, events)
    SELECT r.key_no, r.feature_no, r.window_start_ms, count(*)
    FROM json_each(NEW.strays)
    CROSS JOIN rate_counters AS r ON r.key_no = value ->> 1 AND r.feature_no = value ->> 3
    WHERE value ->> 0 < r.window_first GROUP BY r.key_no, r.feature_no
    ON CONFLICT (key_no, feature_no) DO UPDATE SET
        events = excluded.events + CASE WHEN window_start_ms = excluded.window_start_ms THEN events ELSE 0 END,
        window_start_ms = excluded.window_start_ms;

    UPDATE budget_counters SET
        used = charge.count + CASE WHEN k.usage_window_secs IS NULL OR window_start_ms IS charge.since
            THEN used ELSE 0 END,
        opening = CASE WHEN k.usage_window_secs IS NULL OR window_start_ms IS charge.since THEN opening ELSE 0 END,
        opening_after = CASE WHEN k.usage_window_secs IS NULL THEN opening_after
            WHEN window_start_ms IS charge.since THEN opening_after
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

    UPDATE budget_counters SET opening = opening + before.events
    FROM (
        SELECT b.key_no, count(*) AS events
        FROM json_each(NEW.strays) CROSS JOIN budget_counters AS b ON b.key_no = value ->> 1
        WHERE value ->> 0 <= b.opening_after GROUP BY b.key_no
    ) AS before
    WHERE budget_counters.key_no = before.key_no;
END;

INSERT INTO schema_migrations (version, name) VALUES (8, 'strays');
