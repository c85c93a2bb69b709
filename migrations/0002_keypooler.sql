-- Version 2: takes over a database of version 1, every key, secret, digest, count, window and event of it.
--
-- The old tables are set aside, ours are made, the rows are copied and the old tables dropped. Rows refer to each other
-- by number instead of by UUID, times are milliseconds since the Unix epoch (UTC), and no column that the Go program
-- names in a statement is left where it would match: started on this database it fails and changes nothing.
-- Plain SQL throughout, so that it runs the same wherever SQLite's language is spoken.

-- Every moment written in version 1, and what it is in milliseconds: NULL where it cannot be read. The fraction is cut
-- off, the offset taken off. It stays the first statement: the check before a takeover reads moments through it too.
CREATE VIEW takeover_times (written, ms) AS
WITH moments (written) AS (
    SELECT created_at FROM tiers UNION SELECT created_at FROM consumers UNION SELECT created_at FROM usage_events
    UNION SELECT created_at FROM keys UNION SELECT expires_at FROM keys UNION SELECT usage_window_start FROM keys
),
cut (written, day_and_time, rest) AS (
    SELECT written, replace(substr(written, 1, 19), 'T', ' '), substr(written, 20)
    FROM moments WHERE typeof(written) = 'text'
),
parted (written, day_and_time, fraction, zone) AS (
    SELECT written, day_and_time,
        substr(rest, 1, length(rest) - length(ltrim(rest, '.0123456789'))), ltrim(rest, '.0123456789')
    FROM cut
),
offset_by (written, day_and_time, fraction, offset) AS (
    SELECT written, day_and_time, fraction, CASE
        WHEN zone IN ('', 'Z') THEN '+0000'
        WHEN zone GLOB '[+-][0-9][0-9]:[0-9][0-9]' THEN substr(zone, 1, 3) || substr(zone, 5, 2)
        WHEN zone GLOB ' [+-][0-9][0-9][0-9][0-9]' OR zone GLOB ' [+-][0-9][0-9][0-9][0-9] *'
            THEN substr(zone, 2, 5)
        END
    FROM parted
)
SELECT written, CASE
    WHEN datetime(unixepoch(day_and_time), 'unixepoch') = day_and_time -- so there is such a day
        AND (fraction = '' OR (fraction GLOB '.[0-9]*' AND instr(substr(fraction, 2), '.') = 0))
        AND CAST(substr(offset, 2, 2) AS INTEGER) <= 23 AND CAST(substr(offset, 4, 2) AS INTEGER) <= 59
    THEN unixepoch(day_and_time) * 1000
        + CAST(substr(substr(fraction, 2) || '000', 1, 3) AS INTEGER)
        - CAST(substr(offset, 1, 1) || '60000' AS INTEGER)
            * (CAST(substr(offset, 2, 2) AS INTEGER) * 60 + CAST(substr(offset, 4, 2) AS INTEGER))
    END
FROM offset_by;

CREATE TABLE takeover_moments AS SELECT written, ms FROM takeover_times WHERE ms IS NOT NULL;
CREATE INDEX takeover_moments_written ON takeover_moments(written);
DROP VIEW takeover_times;

ALTER TABLE tiers RENAME TO v1_tiers;
ALTER TABLE tier_features RENAME TO v1_tier_features;
ALTER TABLE keys RENAME TO v1_keys;
ALTER TABLE key_secrets RENAME TO v1_key_secrets;
ALTER TABLE consumers RENAME TO v1_consumers;
ALTER TABLE consumer_scopes RENAME TO v1_consumer_scopes;
ALTER TABLE usage_events RENAME TO v1_usage_events;

-- Ours. A deleted tier, key or consumer stays as a tombstone, so that its number is never used again and its name stays
-- readable in the audit; what was secret in it is gone.

CREATE TABLE features (
    feature_no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE tiers (
    tier_no INTEGER PRIMARY KEY,
    tier_uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX tiers_living_names ON tiers(name) WHERE deleted_ms IS NULL;

CREATE TABLE tier_features (
    tier_no INTEGER NOT NULL REFERENCES tiers(tier_no),
    feature_no INTEGER NOT NULL REFERENCES features(feature_no),
    rate_limit INTEGER NOT NULL CHECK (rate_limit >= 0),
    window_secs INTEGER NOT NULL CHECK (window_secs > 0),
    PRIMARY KEY (tier_no, feature_no)
) STRICT, WITHOUT ROWID;

-- A budget without a window is for life.
CREATE TABLE keys (
    key_no INTEGER PRIMARY KEY,
    key_uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    tier_no INTEGER NOT NULL REFERENCES tiers(tier_no),
    key_value TEXT CHECK (key_value IS NOT NULL OR deleted_ms IS NOT NULL),
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    expires_ms INTEGER,
    usage_limit INTEGER CHECK (usage_limit >= 0),
    usage_window_secs INTEGER
        CHECK (usage_window_secs IS NULL OR (usage_window_secs > 0 AND usage_limit IS NOT NULL)),
    metadata TEXT CHECK (metadata IS NOT NULL OR deleted_ms IS NOT NULL),
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER
) STRICT;

CREATE TABLE key_secrets (
    key_no INTEGER NOT NULL REFERENCES keys(key_no),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key_no, name)
) STRICT;

-- Number 0 is the admin. A digest is the lower-case hex of the token's SHA-256.
CREATE TABLE consumers (
    consumer_no INTEGER PRIMARY KEY,
    consumer_uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    token_digest TEXT CHECK (token_digest IS NOT NULL OR deleted_ms IS NOT NULL OR consumer_no = 0),
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX consumers_living_names ON consumers(name) WHERE deleted_ms IS NULL AND consumer_no <> 0;

CREATE TABLE consumer_scopes (
    consumer_no INTEGER NOT NULL REFERENCES consumers(consumer_no),
    tier_no INTEGER NOT NULL REFERENCES tiers(tier_no),
    PRIMARY KEY (consumer_no, tier_no)
) STRICT, WITHOUT ROWID;

-- The id is the grant's: its millisecond in 42 bits, a replica's number in 10, a sequence in 11. The index holds the
-- id after the number, so it serves the pages of one key as well.
CREATE TABLE usage_events (
    id INTEGER PRIMARY KEY,
    key_no INTEGER NOT NULL REFERENCES keys(key_no),
    consumer_no INTEGER NOT NULL REFERENCES consumers(consumer_no),
    feature_no INTEGER NOT NULL REFERENCES features(feature_no)
) STRICT;

-- used = opening + the key's events with an id above opening_after, always. Apart from the keys, so that a draw
-- rewrites short rows only.
CREATE TABLE budget_counters (
    key_no INTEGER PRIMARY KEY REFERENCES keys(key_no),
    used INTEGER NOT NULL CHECK (used >= 0),
    window_start_ms INTEGER,
    opening INTEGER NOT NULL CHECK (opening >= 0),
    opening_after INTEGER NOT NULL
) STRICT;

-- used = the events of the key and feature from window_first on, where a window was opened. last_grant is where the rotation goes on from.
CREATE TABLE rate_counters (
    key_no INTEGER NOT NULL REFERENCES keys(key_no),
    feature_no INTEGER NOT NULL REFERENCES features(feature_no),
    window_start_ms INTEGER,
    window_first INTEGER CHECK ((window_first IS NULL) = (window_start_ms IS NULL)),
    used INTEGER NOT NULL CHECK (used >= 0),
    last_grant INTEGER,
    PRIMARY KEY (key_no, feature_no)
) STRICT, WITHOUT ROWID;

-- One row. Every admin change raises the revision; tidy_due is 1 while the end of an upgrade is still to be done;
-- overwrites is raised to put another write in the place of one that failed.
CREATE TABLE pool (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    last_replica INTEGER NOT NULL CHECK (last_replica BETWEEN 0 AND 1023),
    tidy_due INTEGER NOT NULL CHECK (tidy_due IN (0, 1)),
    overwrites INTEGER NOT NULL
) STRICT;

-- What version 1 held that belongs to nothing, each row as JSON.
CREATE TABLE orphans (
    orphan_no INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    original TEXT NOT NULL
) STRICT;

-- A batch of draws is one INSERT here, with JSON arrays as parameters:
--   events  [[id, key_no, consumer_no, feature_no], ...]
--   rates   [[key_no, feature_no, window start, count, first id, last id], ...] one for each key and feature
--   budgets [[key_no, window start or null, count, first id, last id], ...]    one for each key
-- The database judges by its own limits, and refuses the whole batch or takes all of it.
CREATE VIEW draw_batch (revision, events, rates, budgets) AS SELECT 0, '', '', '' WHERE 0;

CREATE TRIGGER draw_batch_insert INSTEAD OF INSERT ON draw_batch BEGIN
    SELECT RAISE(ABORT, 'keypooler: stale')
    WHERE (SELECT revision FROM pool) IS NOT NEW.revision;

    SELECT RAISE(ABORT, 'keypooler: spent')
    FROM (
        SELECT value ->> 0 AS key_no, value ->> 1 AS since, value ->> 2 AS count, value ->> 4 AS last
        FROM json_each(NEW.budgets)
    ) AS charge
    LEFT JOIN keys AS k ON k.key_no = charge.key_no
    LEFT JOIN budget_counters AS b ON b.key_no = charge.key_no
    WHERE NOT coalesce(
        k.deleted_ms IS NULL AND k.is_active = 1 AND b.used >= 0 AND charge.count > 0
        AND (k.expires_ms IS NULL OR k.expires_ms > (charge.last >> 21))
        AND CASE
            WHEN k.usage_limit IS NULL THEN 1
            WHEN k.usage_window_secs IS NULL OR b.window_start_ms = charge.since
                THEN b.used + charge.count <= k.usage_limit
            ELSE charge.count <= k.usage_limit AND charge.since IS NOT NULL
                AND (b.window_start_ms IS NULL
                    OR b.window_start_ms + k.usage_window_secs * 1000 <= charge.since)
            END,
        0);

    SELECT RAISE(ABORT, 'keypooler: spent')
    FROM (
        SELECT value ->> 0 AS key_no, value ->> 1 AS feature_no, value ->> 2 AS since, value ->> 3 AS count
        FROM json_each(NEW.rates)
    ) AS charge
    LEFT JOIN keys AS k ON k.key_no = charge.key_no
    LEFT JOIN tier_features AS f ON f.tier_no = k.tier_no AND f.feature_no = charge.feature_no
    LEFT JOIN rate_counters AS r ON r.key_no = charge.key_no AND r.feature_no = charge.feature_no
    WHERE NOT coalesce(
        charge.count > 0 AND charge.since IS NOT NULL
        AND CASE
            WHEN r.window_start_ms = charge.since THEN r.used + charge.count <= f.rate_limit
            ELSE charge.count <= f.rate_limit
                AND (r.window_start_ms IS NULL OR r.window_start_ms + f.window_secs * 1000 <= charge.since)
            END,
        0);

    INSERT INTO usage_events (id, key_no, consumer_no, feature_no)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(NEW.events);

    INSERT INTO rate_counters (key_no, feature_no, window_start_ms, used, window_first, last_grant)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(NEW.rates) WHERE 1
    ON CONFLICT (key_no, feature_no) DO UPDATE SET
        used = excluded.used + CASE WHEN window_start_ms = excluded.window_start_ms THEN used ELSE 0 END,
        window_first = CASE WHEN window_start_ms = excluded.window_start_ms THEN window_first
            ELSE excluded.window_first END,
        window_start_ms = excluded.window_start_ms,
        last_grant = max(coalesce(last_grant, excluded.last_grant), excluded.last_grant);

    UPDATE budget_counters SET
        used = charge.count + CASE WHEN charge.goes_on THEN used ELSE 0 END,
        opening = CASE WHEN charge.goes_on THEN opening ELSE 0 END,
        opening_after = CASE WHEN charge.goes_on THEN opening_after ELSE charge.first - 1 END,
        window_start_ms = charge.window_start_ms
    FROM (
        SELECT c.key_no, c.count, c.first,
            CASE WHEN k.usage_window_secs IS NOT NULL THEN c.since END AS window_start_ms,
            k.usage_window_secs IS NULL OR b.window_start_ms IS c.since AS goes_on
        FROM (
            SELECT value ->> 0 AS key_no, value ->> 1 AS since, value ->> 2 AS count, value ->> 3 AS first
            FROM json_each(NEW.budgets)
        ) AS c
        CROSS JOIN keys AS k ON k.key_no = c.key_no
        CROSS JOIN budget_counters AS b ON b.key_no = c.key_no
    ) AS charge
    WHERE budget_counters.key_no = charge.key_no;
END;

-- The copy. An id is compared as text, whatever it was stored as; a second row with the same id as text keeps its own
-- number and a marked id. The first row of each id is the one that other rows mean.

INSERT INTO pool (one, revision, last_replica, tidy_due, overwrites) VALUES (1, 1, 0, 1, 0);

CREATE TABLE takeover_tiers AS
SELECT t.rowid AS v1_rowid, coalesce(CAST(t.id AS TEXT), '') AS id, 0 AS gone, coalesce(m.ms, 0) AS created_ms,
    row_number() OVER (PARTITION BY coalesce(CAST(t.id AS TEXT), '') ORDER BY t.rowid) AS twin,
    row_number() OVER (PARTITION BY CAST(t.name AS TEXT) ORDER BY t.rowid) AS namesake,
    row_number() OVER (ORDER BY coalesce(m.ms, 0), t.rowid) AS tier_no
FROM v1_tiers AS t LEFT JOIN takeover_moments AS m ON m.written = t.created_at;

INSERT INTO takeover_tiers (id, gone, created_ms, twin, tier_no)
SELECT id, 1, 0, 1, (SELECT count(*) FROM takeover_tiers) + row_number() OVER (ORDER BY first_row)
FROM (
    SELECT CAST(tier_id AS TEXT) AS id, min(rowid) AS first_row FROM v1_keys
    WHERE CAST(tier_id AS TEXT) NOT IN (SELECT id FROM takeover_tiers) GROUP BY 1
);
CREATE INDEX takeover_tiers_id ON takeover_tiers(id);

INSERT INTO tiers (tier_no, tier_uuid, name, description, created_ms, deleted_ms)
SELECT s.tier_no, CASE s.twin WHEN 1 THEN s.id ELSE s.id || '#' || s.v1_rowid END,
    CASE WHEN s.gone THEN '' WHEN s.namesake > 1 THEN CAST(t.name AS TEXT) || '#' || s.v1_rowid
        ELSE CAST(t.name AS TEXT) END,
    coalesce(CAST(t.description AS TEXT), ''), s.created_ms, CASE WHEN s.gone THEN 0 END
FROM takeover_tiers AS s LEFT JOIN v1_tiers AS t ON t.rowid = s.v1_rowid
ORDER BY s.tier_no;

INSERT INTO features (feature_no, name)
SELECT row_number() OVER (ORDER BY name), name FROM (
    SELECT CAST(feature AS TEXT) AS name FROM v1_tier_features UNION SELECT CAST(feature AS TEXT) FROM v1_usage_events
);

CREATE TABLE takeover_features AS
SELECT f.rowid AS v1_rowid, s.tier_no AS tier_no, n.feature_no AS feature_no,
    row_number() OVER (PARTITION BY s.tier_no, n.feature_no ORDER BY f.rowid) AS twin
FROM v1_tier_features AS f
JOIN features AS n ON n.name = CAST(f.feature AS TEXT)
LEFT JOIN takeover_tiers AS s ON s.id = CAST(f.tier_id AS TEXT) AND s.twin = 1 AND s.gone = 0;

INSERT INTO tier_features (tier_no, feature_no, rate_limit, window_secs)
SELECT s.tier_no, s.feature_no, max(0, min(CAST(f.rate_limit AS INTEGER), 1000000000)),
    CASE WHEN CAST(f.window_seconds AS INTEGER) <= 0 THEN 60
        ELSE min(CAST(f.window_seconds AS INTEGER), 31622400) END
FROM takeover_features AS s JOIN v1_tier_features AS f ON f.rowid = s.v1_rowid
WHERE s.tier_no IS NOT NULL AND s.twin = 1;

INSERT INTO orphans (source, original)
SELECT 'tier_features', json_object(
    'tier_id', CASE typeof(f.tier_id) WHEN 'blob' THEN hex(f.tier_id) ELSE f.tier_id END,
    'feature', CASE typeof(f.feature) WHEN 'blob' THEN hex(f.feature) ELSE f.feature END,
    'rate_limit', CASE typeof(f.rate_limit) WHEN 'blob' THEN hex(f.rate_limit) ELSE f.rate_limit END,
    'window_seconds', CASE typeof(f.window_seconds) WHEN 'blob' THEN hex(f.window_seconds) ELSE f.window_seconds END)
FROM takeover_features AS s JOIN v1_tier_features AS f ON f.rowid = s.v1_rowid
WHERE s.tier_no IS NULL OR s.twin > 1;

CREATE TABLE takeover_keys AS
SELECT k.rowid AS v1_rowid, coalesce(CAST(k.id AS TEXT), '') AS id, 0 AS gone, coalesce(m.ms, 0) AS created_ms,
    row_number() OVER (PARTITION BY coalesce(CAST(k.id AS TEXT), '') ORDER BY k.rowid) AS twin,
    row_number() OVER (ORDER BY coalesce(m.ms, 0), k.rowid) AS key_no,
    -- The limit and window as they are from now on; a window counts only beside a limit.
    CASE WHEN k.usage_limit IS NOT NULL THEN max(0, min(CAST(k.usage_limit AS INTEGER), 1000000000000000)) END
        AS usage_limit,
    CASE WHEN k.usage_limit IS NOT NULL AND CAST(k.usage_window_seconds AS INTEGER) > 0
        THEN min(CAST(k.usage_window_seconds AS INTEGER), 316224000) END AS usage_window_secs
FROM v1_keys AS k LEFT JOIN takeover_moments AS m ON m.written = k.created_at;

INSERT INTO takeover_keys (id, gone, created_ms, twin, key_no)
SELECT id, 1, 0, 1, (SELECT count(*) FROM takeover_keys) + row_number() OVER (ORDER BY first_row)
FROM (
    SELECT coalesce(CAST(key_id AS TEXT), '') AS id, min(rowid) AS first_row FROM v1_usage_events
    WHERE coalesce(CAST(key_id AS TEXT), '') NOT IN (SELECT id FROM takeover_keys) GROUP BY 1
);
CREATE INDEX takeover_keys_id ON takeover_keys(id);

-- A key that vanished stands under some tier, as every key does; it is a tombstone and covers nothing.
INSERT INTO tiers (tier_no, tier_uuid, name, description, created_ms, deleted_ms)
SELECT (SELECT count(*) FROM takeover_tiers) + 1, '#vanished', '', '', 0, 0
WHERE EXISTS (SELECT 1 FROM takeover_keys WHERE gone);

INSERT INTO keys (key_no, key_uuid, name, tier_no, key_value, is_active, expires_ms, usage_limit, usage_window_secs,
    metadata, created_ms, deleted_ms)
SELECT s.key_no, CASE s.twin WHEN 1 THEN s.id ELSE s.id || '#' || s.v1_rowid END, coalesce(CAST(k.name AS TEXT), ''),
    CASE WHEN s.gone THEN (SELECT count(*) FROM takeover_tiers) + 1 ELSE t.tier_no END,
    -- A plain value that would look tagged from now on gets the tag that says it is plain.
    CASE substr(CAST(k.key_value AS TEXT), 1, 9) WHEN 'enc:none:' THEN 'enc:none:' ELSE '' END
        || CAST(k.key_value AS TEXT),
    k.is_active IS 1,
    -- What cannot be read ends the takeover: it must not become a key that never expires.
    CASE WHEN k.expires_at IS NULL THEN NULL ELSE coalesce(expiry.ms, 'unreadable') END,
    s.usage_limit, s.usage_window_secs,
    CASE WHEN s.gone THEN NULL WHEN json_valid(CAST(k.metadata_json AS TEXT))
        THEN CASE json_type(CAST(k.metadata_json AS TEXT)) WHEN 'object' THEN CAST(k.metadata_json AS TEXT) ELSE '{}' END
        ELSE '{}' END,
    s.created_ms, CASE WHEN s.gone THEN 0 END
FROM takeover_keys AS s
LEFT JOIN v1_keys AS k ON k.rowid = s.v1_rowid
LEFT JOIN takeover_tiers AS t ON t.id = CAST(k.tier_id AS TEXT) AND t.twin = 1
LEFT JOIN takeover_moments AS expiry ON expiry.written = k.expires_at
ORDER BY s.key_no;

INSERT INTO orphans (source, original)
SELECT 'keys.metadata_json', json_object('key_id', n.key_uuid, 'metadata_json',
    CASE typeof(k.metadata_json) WHEN 'blob' THEN hex(k.metadata_json) ELSE k.metadata_json END)
FROM takeover_keys AS s
JOIN v1_keys AS k ON k.rowid = s.v1_rowid
JOIN keys AS n ON n.key_no = s.key_no
WHERE n.metadata IS NOT CAST(k.metadata_json AS TEXT);

CREATE TABLE takeover_secrets AS
SELECT x.rowid AS v1_rowid, s.key_no AS key_no, CAST(x.name AS TEXT) AS name,
    row_number() OVER (PARTITION BY s.key_no, CAST(x.name AS TEXT) ORDER BY x.rowid) AS twin
FROM v1_key_secrets AS x
LEFT JOIN takeover_keys AS s ON s.id = CAST(x.key_id AS TEXT) AND s.twin = 1 AND s.gone = 0;

INSERT INTO key_secrets (key_no, name, value)
SELECT s.key_no, s.name,
    CASE substr(CAST(x.value AS TEXT), 1, 9) WHEN 'enc:none:' THEN 'enc:none:' ELSE '' END || CAST(x.value AS TEXT)
FROM takeover_secrets AS s JOIN v1_key_secrets AS x ON x.rowid = s.v1_rowid
WHERE s.key_no IS NOT NULL AND s.twin = 1;

INSERT INTO orphans (source, original)
SELECT 'key_secrets', json_object(
    'key_id', CASE typeof(x.key_id) WHEN 'blob' THEN hex(x.key_id) ELSE x.key_id END,
    'name', CASE typeof(x.name) WHEN 'blob' THEN hex(x.name) ELSE x.name END,
    'value', CASE typeof(x.value) WHEN 'blob' THEN hex(x.value) ELSE x.value END)
FROM takeover_secrets AS s JOIN v1_key_secrets AS x ON x.rowid = s.v1_rowid
WHERE s.key_no IS NULL OR s.twin > 1;

CREATE TABLE takeover_consumers AS
SELECT c.v1_rowid AS v1_rowid, c.id AS id, 0 AS gone, coalesce(m.ms, 0) AS created_ms,
    row_number() OVER (PARTITION BY c.id ORDER BY c.v1_rowid) AS twin,
    row_number() OVER (PARTITION BY c.name ORDER BY c.v1_rowid) AS namesake,
    row_number() OVER (ORDER BY c.v1_rowid IS NOT 0, coalesce(m.ms, 0), c.v1_rowid) - 1 AS consumer_no
FROM (
    SELECT 0 AS v1_rowid, 'admin' AS id, NULL AS name, NULL AS created_at
    UNION ALL
    SELECT rowid, coalesce(CAST(id AS TEXT), ''), CAST(name AS TEXT), created_at FROM v1_consumers
) AS c
LEFT JOIN takeover_moments AS m ON m.written = c.created_at;

INSERT INTO takeover_consumers (id, gone, created_ms, twin, consumer_no)
SELECT id, 1, 0, 1, (SELECT count(*) FROM takeover_consumers) - 1 + row_number() OVER (ORDER BY first_row)
FROM (
    SELECT coalesce(CAST(consumer_id AS TEXT), '') AS id, min(rowid) AS first_row FROM v1_usage_events
    WHERE coalesce(CAST(consumer_id AS TEXT), '') NOT IN (SELECT id FROM takeover_consumers) GROUP BY 1
);
CREATE INDEX takeover_consumers_id ON takeover_consumers(id);

INSERT INTO consumers (consumer_no, consumer_uuid, name, description, token_digest, is_active, created_ms, deleted_ms)
SELECT s.consumer_no, CASE s.twin WHEN 1 THEN s.id ELSE s.id || '#' || s.v1_rowid END,
    CASE WHEN s.consumer_no = 0 THEN 'admin' WHEN s.gone THEN ''
        WHEN s.namesake > 1 THEN CAST(c.name AS TEXT) || '#' || s.v1_rowid ELSE CAST(c.name AS TEXT) END,
    coalesce(CAST(c.description AS TEXT), ''), CAST(c.token_hash AS TEXT),
    s.consumer_no = 0 OR c.is_active IS 1, s.created_ms, CASE WHEN s.gone THEN 0 END
FROM takeover_consumers AS s LEFT JOIN v1_consumers AS c ON c.rowid = s.v1_rowid AND s.consumer_no <> 0
ORDER BY s.consumer_no;

INSERT OR IGNORE INTO consumer_scopes (consumer_no, tier_no)
SELECT c.consumer_no, t.tier_no
FROM v1_consumer_scopes AS x
JOIN takeover_consumers AS c ON c.id = CAST(x.consumer_id AS TEXT) AND c.twin = 1 AND c.gone = 0 AND c.consumer_no <> 0
JOIN takeover_tiers AS t ON t.id = CAST(x.tier_id AS TEXT) AND t.twin = 1 AND t.gone = 0;

INSERT INTO orphans (source, original)
SELECT 'consumer_scopes', json_object(
    'consumer_id', CASE typeof(x.consumer_id) WHEN 'blob' THEN hex(x.consumer_id) ELSE x.consumer_id END,
    'tier_id', CASE typeof(x.tier_id) WHEN 'blob' THEN hex(x.tier_id) ELSE x.tier_id END)
FROM v1_consumer_scopes AS x
LEFT JOIN takeover_consumers AS c
    ON c.id = CAST(x.consumer_id AS TEXT) AND c.twin = 1 AND c.gone = 0 AND c.consumer_no <> 0
LEFT JOIN takeover_tiers AS t ON t.id = CAST(x.tier_id AS TEXT) AND t.twin = 1 AND t.gone = 0
WHERE c.consumer_no IS NULL OR t.tier_no IS NULL;

-- Events of one millisecond are numbered from 1 in their order. A moment that no id can hold is brought to the nearest
-- that one can; one that cannot be read is 0.
INSERT INTO usage_events (id, key_no, consumer_no, feature_no)
SELECT (e.ms << 21) + row_number() OVER (PARTITION BY e.ms ORDER BY e.v1_rowid) AS id,
    k.key_no, c.consumer_no, f.feature_no
FROM (
    SELECT e.rowid AS v1_rowid, coalesce(CAST(e.key_id AS TEXT), '') AS key_id,
        coalesce(CAST(e.consumer_id AS TEXT), '') AS consumer_id, CAST(e.feature AS TEXT) AS feature,
        max(0, min(coalesce(m.ms, 0), 4398046511102)) AS ms
    FROM v1_usage_events AS e LEFT JOIN takeover_moments AS m ON m.written = e.created_at
) AS e
JOIN takeover_keys AS k ON k.id = e.key_id AND k.twin = 1
JOIN takeover_consumers AS c ON c.id = e.consumer_id AND c.twin = 1
JOIN features AS f ON f.name = e.feature
ORDER BY 1;
CREATE INDEX usage_events_by_key ON usage_events(key_no);

INSERT INTO budget_counters (key_no, used, window_start_ms, opening, opening_after)
SELECT key_no, used, window_start_ms, used, coalesce((SELECT max(id) FROM usage_events), 0)
FROM (
    SELECT s.key_no, max(0, min(CAST(k.usage_count AS INTEGER), 1000000000000000)) AS used,
        CASE WHEN s.usage_window_secs IS NULL OR k.usage_window_start IS NULL THEN NULL
            ELSE coalesce(m.ms, 'unreadable') END AS window_start_ms
    FROM takeover_keys AS s
    JOIN v1_keys AS k ON k.rowid = s.v1_rowid
    LEFT JOIN takeover_moments AS m ON m.written = k.usage_window_start
)
ORDER BY key_no;

INSERT INTO rate_counters (key_no, feature_no, window_start_ms, window_first, used, last_grant)
SELECT e.key_no, e.feature_no, NULL, NULL, 0, max(e.id)
FROM usage_events AS e JOIN keys AS k ON k.key_no = e.key_no AND k.deleted_ms IS NULL
GROUP BY e.key_no, e.feature_no;

-- Children before parents.
DROP TABLE v1_usage_events;
DROP TABLE v1_consumer_scopes;
DROP TABLE v1_key_secrets;
DROP TABLE v1_tier_features;
DROP TABLE v1_keys;
DROP TABLE v1_consumers;
DROP TABLE v1_tiers;
DROP TABLE takeover_moments;
DROP TABLE takeover_tiers;
DROP TABLE takeover_features;
DROP TABLE takeover_keys;
DROP TABLE takeover_secrets;
DROP TABLE takeover_consumers;

INSERT INTO schema_migrations (version, name) VALUES (2, 'keypooler');
