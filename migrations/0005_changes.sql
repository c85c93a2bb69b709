-- Schema 5: the record of what admins changed.

-- Who made a change: an address or the name of a command, and the request's id. Null where that is not known.
ALTER TABLE changes ADD COLUMN origin TEXT;
ALTER TABLE changes ADD COLUMN request_id TEXT;

-- A row for each thing that a change concerns, numbered in the order in which they were made. before and after are JSON
-- objects of what is shown of the thing: of an update what differs, of a secret its name alone. Changes of earlier
-- schemas have none.
CREATE TABLE change_records (
    record_no INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL REFERENCES changes(revision),
    what TEXT NOT NULL,
    id_of TEXT NOT NULL,
    name TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;

-- What was recorded stays as it is. Only an unfinished copy is cleared.
CREATE TRIGGER changes_are_kept BEFORE DELETE ON changes WHEN (SELECT is_copying FROM pool) = 0 BEGIN
    SELECT RAISE(ABORT, 'keypooler: changes are kept');
END;
CREATE TRIGGER changes_stay_as_they_are BEFORE UPDATE ON changes BEGIN
    SELECT RAISE(ABORT, 'keypooler: changes are kept');
END;
CREATE TRIGGER change_records_are_kept BEFORE DELETE ON change_records WHEN (SELECT is_copying FROM pool) = 0 BEGIN
    SELECT RAISE(ABORT, 'keypooler: changes are kept');
END;
CREATE TRIGGER change_records_stay_as_they_are BEFORE UPDATE ON change_records BEGIN
    SELECT RAISE(ABORT, 'keypooler: changes are kept');
END;

INSERT INTO schema_migrations (version, name) VALUES (5, 'changes');
