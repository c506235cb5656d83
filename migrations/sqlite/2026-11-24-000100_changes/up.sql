-- What every instance must forget at once: a row for each change of a user or of their sessions.
-- Rows are short-lived; user_id is empty when everybody is meant.
CREATE TABLE changes (
    seq     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      BIGINT  NOT NULL,
    user_id BIGINT
);

-- Which instance does what only one may do at a time, and until when.
CREATE TABLE leases (
    name       TEXT   NOT NULL PRIMARY KEY,
    holder     BLOB   NOT NULL,
    expires_at BIGINT NOT NULL
) WITHOUT ROWID;
