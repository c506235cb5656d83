-- Where a session's access tokens can be looked up: 11 bits for the list and 20 for the place in it. NULL for sessions that
-- have no access tokens, and until the next refresh for those from before and for those whose user got another role.
-- As the last column its four bytes lie where a row of Postgres would be padded.
ALTER TABLE sessions ADD COLUMN status_index INTEGER;

-- What an instance reads when it begins: the places of what ended lately.
CREATE INDEX sessions_by_end ON sessions (ended_at, status_index)
    WHERE ended_at IS NOT NULL AND status_index IS NOT NULL;

-- The lists of places. Serial numbers are handed out in blocks, and the key scatters them over the list. A list is
-- dropped when the last session that can have a place in it is over; its number, of which 11 bits are in the places, is
-- never used again.
CREATE TABLE status_lists (
    number          BIGINT NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL,
    permutation_key BLOB   NOT NULL,
    next_serial     BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    in_use_until    BIGINT NOT NULL,
    CONSTRAINT status_lists_name_key UNIQUE (name),
    CONSTRAINT status_lists_serial_range CHECK (next_serial BETWEEN 0 AND 1048576)
) WITHOUT ROWID;

-- Places whose tokens say what is no longer so, though their session lives on with another place. Rows are short-lived.
CREATE TABLE revoked_status_indexes (
    status_index INTEGER NOT NULL,
    at           BIGINT  NOT NULL,
    user_id      BIGINT  NOT NULL,
    PRIMARY KEY (status_index, at)
) WITHOUT ROWID;

CREATE INDEX revoked_status_indexes_by_user ON revoked_status_indexes (user_id);
