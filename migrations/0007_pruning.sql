-- Schema 7: usage events can be pruned; what they amount to stays.

-- What was pruned: usage events before a moment (the start of a UTC day). The chain of a key's events ends before the last of
-- these moments: the oldest event may name one that is gone, and so may the counter of a key that has none left.
CREATE TABLE prunings (
    before_ms INTEGER PRIMARY KEY,
    begun_ms INTEGER NOT NULL,
    events INTEGER NOT NULL CHECK (events > 0)
) STRICT;

-- The events that are gone, counted by UTC day (in days since the Unix epoch).
CREATE TABLE pruned_usage (
    day INTEGER NOT NULL,
    key_no INTEGER NOT NULL REFERENCES keys(key_no),
    consumer_no INTEGER NOT NULL REFERENCES consumers(consumer_no),
    feature_no INTEGER NOT NULL REFERENCES features(feature_no),
    grants INTEGER NOT NULL CHECK (grants > 0),
    PRIMARY KEY (day, key_no, consumer_no, feature_no)
) STRICT, WITHOUT ROWID;

-- The opening balance of a rate counter: those of its window's events that are gone. It counts while the counter is in that
-- window. A budget counter has its own.
CREATE TABLE pruned_rates (
    key_no INTEGER NOT NULL REFERENCES keys(key_no),
    feature_no INTEGER NOT NULL REFERENCES features(feature_no),
    window_start_ms INTEGER NOT NULL,
    events INTEGER NOT NULL CHECK (events > 0),
    PRIMARY KEY (key_no, feature_no)
) STRICT, WITHOUT ROWID;

INSERT INTO schema_migrations (version, name) VALUES (7, 'pruning');
