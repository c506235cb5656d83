-- Wrong guesses, for each network that they came from and ('*') for all of them. The subject is a keyed digest of the account,
-- the client or, where nobody has it, of the name: what was typed is nowhere.
CREATE TABLE guess_counters (
    subject        BLOB    NOT NULL,
    network        TEXT   NOT NULL,
    user_id        BIGINT REFERENCES users (id) ON DELETE CASCADE,
    client_id      TEXT REFERENCES clients (id) ON DELETE CASCADE,
    failures       INTEGER NOT NULL,
    streak         INTEGER NOT NULL,
    last_failed_at BIGINT NOT NULL,
    free_at        BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    PRIMARY KEY (subject, network),
    CONSTRAINT guess_counters_counts CHECK (failures >= 0 AND streak >= 0)
) WITHOUT ROWID;

CREATE INDEX guess_counters_by_expiry ON guess_counters (expires_at);
CREATE INDEX guess_counters_by_user ON guess_counters (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX guess_counters_by_client ON guess_counters (client_id) WHERE client_id IS NOT NULL;
-- What blocks somebody, for admins to see.
CREATE INDEX guess_counters_blocking ON guess_counters (free_at, subject, network) WHERE free_at > last_failed_at;

-- The networks that users signed in from lately.
CREATE TABLE known_networks (
    user_id         BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network         TEXT   NOT NULL,
    last_success_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, network)
) WITHOUT ROWID;

CREATE INDEX known_networks_by_success ON known_networks (last_success_at);
