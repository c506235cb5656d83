-- What every instance must forget at once: a row for each change of a user or of their sessions.
-- Rows are short-lived; user_id is empty when everybody is meant. Numbers are handed out before commits and so in
-- another order; the transaction's id tells which rows a reader cannot have seen yet.
CREATE TABLE changes (
    seq     BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    user_id BIGINT
);

CREATE INDEX changes_by_xid ON changes (xid);

-- Which instance does what only one may do at a time, and until when.
CREATE TABLE leases (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder     BYTEA            NOT NULL,
    expires_at BIGINT           NOT NULL
);
