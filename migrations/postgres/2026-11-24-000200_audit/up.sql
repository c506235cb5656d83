-- Who did it, and what came of it. Rows from before are of refused refresh tokens alone.
ALTER TABLE audit_events ADD COLUMN actor_kind TEXT NOT NULL DEFAULT 'anonymous'
    CONSTRAINT audit_events_actor_kind_known CHECK (actor_kind IN ('user', 'operator', 'anonymous', 'system'));
ALTER TABLE audit_events ADD COLUMN result TEXT NOT NULL DEFAULT 'denied'
    CONSTRAINT audit_events_result_known CHECK (result IN ('succeeded', 'failed', 'denied'));

-- The seal: empty until the row has its place in the chain. Nothing else of a row ever changes.
ALTER TABLE audit_events ADD COLUMN seal_number BIGINT;
ALTER TABLE audit_events ADD COLUMN seal_digest BYTEA
    CONSTRAINT audit_events_seal_whole CHECK ((seal_number IS NULL) = (seal_digest IS NULL));

CREATE UNIQUE INDEX audit_events_seal_number_key ON audit_events (seal_number) WHERE seal_number IS NOT NULL;
CREATE INDEX audit_events_unsealed ON audit_events (id) WHERE seal_number IS NULL;

-- One for each filter, together with the order of the lists: the newest first, then by id.
CREATE INDEX audit_events_by_time ON audit_events (occurred_at, id);
CREATE INDEX audit_events_by_kind ON audit_events (kind, occurred_at, id);
CREATE INDEX audit_events_by_actor ON audit_events (actor_user_id, occurred_at, id) WHERE actor_user_id IS NOT NULL;
CREATE INDEX audit_events_by_subject ON audit_events (subject_user_id, occurred_at, id) WHERE subject_user_id IS NOT NULL;
CREATE INDEX audit_events_by_session ON audit_events (session_id, occurred_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_events_by_ip ON audit_events (ip, occurred_at, id) WHERE ip IS NOT NULL;
CREATE INDEX audit_events_by_request ON audit_events (request_id, occurred_at, id) WHERE request_id IS NOT NULL;

-- The end of the chain. A seal is given only together with the move of this row.
CREATE TABLE audit_heads (
    name   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    digest BYTEA   NOT NULL,
    day    BIGINT NOT NULL
);

INSERT INTO audit_heads (name, number, digest, day) VALUES ('head', 0, decode(repeat('00', 32), 'hex'), 0);

-- Where each day of the chain begins, and the digest before it. Days are counted from 1970-01-01.
CREATE TABLE audit_days (
    day          BIGINT NOT NULL PRIMARY KEY,
    first_number BIGINT NOT NULL,
    head_before  BYTEA   NOT NULL
);

-- What happened in each hour since 1970-01-01T00:00:00Z, and how often.
CREATE TABLE rollups (
    hour  BIGINT NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (hour, name)
);
