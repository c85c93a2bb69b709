-- Schema 6: consumers expire, and have their tokens replaced.

-- From expires_ms on a consumer is nobody; null is never. Its token was issued at token_issued_ms.
ALTER TABLE consumers ADD COLUMN expires_ms INTEGER;
ALTER TABLE consumers ADD COLUMN token_issued_ms INTEGER NOT NULL DEFAULT 0;
UPDATE consumers SET token_issued_ms = created_ms;

-- The tokens before the one in the consumer's row, each until its overlap ends. Those that have ended go when the next one
-- is issued.
CREATE TABLE former_tokens (
    consumer_no INTEGER NOT NULL REFERENCES consumers(consumer_no),
    token_digest TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (consumer_no, token_digest)
) STRICT, WITHOUT ROWID;

-- Each consumer's last grant, the admin's too, as far as it was noted: servers note it now and then, not with each draw.
-- Newer events than the highest here tell the rest. An event that is pruned stays here by its id, which tells its moment.
CREATE TABLE consumer_uses (
    consumer_no INTEGER PRIMARY KEY REFERENCES consumers(consumer_no),
    last_event INTEGER NOT NULL
) STRICT;

INSERT INTO consumer_uses (consumer_no, last_event)
SELECT consumer_no, max(id) FROM usage_events GROUP BY consumer_no;

INSERT INTO schema_migrations (version, name) VALUES (6, 'tokens');
