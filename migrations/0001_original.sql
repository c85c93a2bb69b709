-- Version 1: the schema of the Go program that keypooler replaces, exactly as that program made it, its migration
-- record included. A fresh database starts here too and goes on to version 2, so there is one path for both. The row
-- of version 1 has to stay in every later version: where it is missing, the Go program drops the tables below.

CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMP NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE tiers (
    id TEXT PRIMARY KEY,
    name TEXT UNIQUE NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE tier_features (
    tier_id TEXT NOT NULL REFERENCES tiers(id) ON DELETE CASCADE,
    feature TEXT NOT NULL,
    rate_limit INTEGER NOT NULL,
    window_seconds INTEGER NOT NULL DEFAULT 60,
    PRIMARY KEY(tier_id, feature)
);

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    key_value TEXT NOT NULL,
    tier_id TEXT NOT NULL REFERENCES tiers(id),
    is_active INTEGER NOT NULL DEFAULT 1,
    expires_at TIMESTAMP,
    usage_limit INTEGER,
    usage_count INTEGER NOT NULL DEFAULT 0,
    usage_window_seconds INTEGER,
    usage_window_start TIMESTAMP,
    metadata_json TEXT NOT NULL DEFAULT '{}',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE key_secrets (
    key_id TEXT NOT NULL REFERENCES keys(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY(key_id, name)
);

CREATE TABLE consumers (
    id TEXT PRIMARY KEY,
    name TEXT UNIQUE NOT NULL,
    token_hash TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    is_active INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE consumer_scopes (
    consumer_id TEXT NOT NULL REFERENCES consumers(id) ON DELETE CASCADE,
    tier_id TEXT NOT NULL REFERENCES tiers(id) ON DELETE CASCADE,
    PRIMARY KEY(consumer_id, tier_id)
);

CREATE TABLE usage_events (
    id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    consumer_id TEXT,
    feature TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_keys_tier_id ON keys(tier_id);
CREATE INDEX idx_key_secrets_key_id ON key_secrets(key_id);
CREATE INDEX idx_consumers_token_hash ON consumers(token_hash);
CREATE INDEX idx_consumer_scopes_consumer_id ON consumer_scopes(consumer_id);
CREATE INDEX idx_usage_events_key_created ON usage_events(key_id, created_at);
CREATE INDEX idx_usage_events_created ON usage_events(created_at);

INSERT INTO schema_migrations (version, name) VALUES (1, 'init');
