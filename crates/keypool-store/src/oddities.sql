WITH
-- The odd rows of a version 1 database, each as (what is odd and what it means from now on, table, id, name). The
-- moments that can be read stand in takeover_moments, as they do while migration 2 runs.
shapes (table_name, id, name, is_active, created_at) AS (
    SELECT 'tiers', id, name, 1, created_at FROM tiers
    UNION ALL SELECT 'keys', id, name, is_active, created_at FROM keys
    UNION ALL SELECT 'consumers', id, name, is_active, created_at FROM consumers
),
limits (table_name, id, name, what, found, least, most) AS (
    SELECT 'tier_features', tier_id, feature, 'rate_limit', rate_limit, 1, 1000000000 FROM tier_features
    UNION ALL SELECT 'tier_features', tier_id, feature, 'window_seconds', window_seconds, 1, 31622400 FROM tier_features
    UNION ALL SELECT 'keys', id, name, 'usage_limit', usage_limit, 1, 1000000000000000 FROM keys
    UNION ALL SELECT 'keys', id, name, 'usage_count', usage_count, 0, 1000000000000000 FROM keys
    UNION ALL SELECT 'keys', id, name, 'usage_window_seconds', usage_window_seconds, 1, 316224000 FROM keys
),
odd (what, table_name, id, name) AS (
    SELECT 'its creation time cannot be read and counts as 1970', s.table_name, s.id, s.name
    FROM shapes AS s LEFT JOIN takeover_moments AS m ON m.written = s.created_at WHERE m.ms IS NULL

    UNION ALL
    SELECT 'its id is empty or, read as text, that of another row; it is kept under an id of its own', table_name, id, name
    FROM (
        SELECT table_name, id, name, count(*) OVER (PARTITION BY table_name, CAST(id AS TEXT)) AS rows FROM shapes
    )
    WHERE rows > 1 OR id IS NULL OR (table_name = 'consumers' AND CAST(id AS TEXT) = 'admin')

    UNION ALL
    SELECT 'its is_active is neither 0 nor 1: it counts as inactive', table_name, id, name
    FROM shapes WHERE is_active IS NOT 0 AND is_active IS NOT 1

    UNION ALL
    SELECT CASE
        WHEN typeof(found) <> 'integer' THEN 'its ' || what || ' is not a whole number and is read as one'
        WHEN found < least THEN CASE what
            WHEN 'window_seconds' THEN 'its window_seconds is 0 or less: the window is 60 s'
            WHEN 'usage_window_seconds' THEN 'its usage_window_seconds is 0 or less: the budget is for life'
            WHEN 'usage_count' THEN 'its usage_count is below 0: it counts from 0'
            ELSE 'its ' || what || ' is 0 or less: it grants nothing' END
        ELSE 'its ' || what || ' is too large: it counts as ' || most END,
        table_name, id, name
    FROM limits
    WHERE found IS NOT NULL AND (typeof(found) <> 'integer' OR found < least OR found > most)

    UNION ALL
    SELECT 'it has a usage_window_seconds but no usage_limit: the window means nothing and is dropped', 'keys', id, name
    FROM keys WHERE usage_limit IS NULL AND usage_window_seconds IS NOT NULL

    UNION ALL
    SELECT 'its tier is gone: it is kept and grants nothing', 'keys', k.id, k.name
    FROM keys AS k WHERE CAST(k.tier_id AS TEXT) NOT IN (SELECT CAST(id AS TEXT) FROM tiers WHERE id IS NOT NULL)

    UNION ALL
    SELECT 'its metadata is not a JSON object: it reads as {}, the original is kept among the orphans', 'keys', id, name
    FROM keys
    WHERE CASE WHEN json_valid(CAST(metadata_json AS TEXT)) THEN json_type(CAST(metadata_json AS TEXT)) END
        IS NOT 'object'

    UNION ALL
    SELECT 'its tier is gone: it is kept among the orphans and covers nothing', 'tier_features', tier_id, feature
    FROM tier_features WHERE CAST(tier_id AS TEXT) NOT IN (SELECT CAST(id AS TEXT) FROM tiers WHERE id IS NOT NULL)

    UNION ALL
    SELECT 'its name is outside of today''s rules: it stays drawable', 'tier_features', tier_id, feature
    FROM tier_features
    WHERE length(CAST(feature AS TEXT)) NOT BETWEEN 1 AND 128 OR CAST(feature AS TEXT) GLOB '*[^-A-Za-z0-9_.:/]*'

    UNION ALL
    SELECT 'its key is gone: it is kept among the orphans', 'key_secrets', key_id, name
    FROM key_secrets WHERE CAST(key_id AS TEXT) NOT IN (SELECT CAST(id AS TEXT) FROM keys WHERE id IS NOT NULL)

    UNION ALL
    SELECT 'its token_hash is no SHA-256 in lower-case hex: no token opens it', 'consumers', id, name
    FROM consumers
    WHERE length(CAST(token_hash AS TEXT)) <> 64 OR CAST(token_hash AS TEXT) GLOB '*[^0-9a-f]*'

    UNION ALL
    SELECT 'its consumer is gone: it is kept among the orphans', 'consumer_scopes', consumer_id, tier_id
    FROM consumer_scopes
    WHERE CAST(consumer_id AS TEXT) NOT IN (SELECT CAST(id AS TEXT) FROM consumers WHERE id IS NOT NULL)

    UNION ALL
    SELECT 'its tier is gone: it is kept among the orphans', 'consumer_scopes', consumer_id, tier_id
    FROM consumer_scopes WHERE CAST(tier_id AS TEXT) NOT IN (SELECT CAST(id AS TEXT) FROM tiers WHERE id IS NOT NULL)

    UNION ALL
    SELECT count(*) || ' events are of a key that is gone: they stay listed under its id', 'usage_events', key_id, ''
    FROM usage_events
    WHERE coalesce(CAST(key_id AS TEXT), '') NOT IN (SELECT coalesce(CAST(id AS TEXT), '') FROM keys) GROUP BY key_id

    UNION ALL
    SELECT count(*) || ' events are of a consumer that is gone: they stay listed under its id',
        'usage_events', consumer_id, ''
    FROM usage_events
    WHERE consumer_id IS NOT 'admin'
        AND coalesce(CAST(consumer_id AS TEXT), '') NOT IN (SELECT coalesce(CAST(id AS TEXT), '') FROM consumers)
    GROUP BY consumer_id

    UNION ALL
    SELECT events || ' events are of a moment that cannot be read, or that no id can hold: the nearest one counts',
        'usage_events', '', ''
    FROM (
        SELECT count(*) AS events
        FROM usage_events AS e LEFT JOIN takeover_moments AS m ON m.written = e.created_at
        WHERE m.ms IS NULL OR m.ms NOT BETWEEN 0 AND 4398046511102
    )
    WHERE events > 0
)
SELECT what, table_name, coalesce(CAST(id AS TEXT), ''), coalesce(CAST(name AS TEXT), '') FROM odd
