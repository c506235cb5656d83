-- Programs that act on their own: resource servers that introspect tokens, and service accounts.
CREATE TABLE clients (
    id               TEXT   NOT NULL PRIMARY KEY,
    name             TEXT   NOT NULL,
    audience         TEXT,
    scopes           TEXT   NOT NULL,
    security_version BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    created_by       BIGINT,
    disabled_at      BIGINT,
    last_used_at     BIGINT,
    last_used_ip     BLOB
) WITHOUT ROWID;

CREATE INDEX clients_by_creation ON clients (created_at, id);

-- What they prove it with. Only the SHA-256 of a secret is here; it has 256 bits, so that needs no slow hash.
CREATE TABLE client_secrets (
    id           TEXT   NOT NULL PRIMARY KEY,
    client_id    TEXT   NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    digest       BLOB   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    CONSTRAINT client_secrets_digest UNIQUE (digest)
) WITHOUT ROWID;

CREATE INDEX client_secrets_by_client ON client_secrets (client_id, created_at);

-- One more kind of actor. SQLite changes no CHECK, so the column is made anew; its values stay what they were sealed as.
ALTER TABLE audit_events ADD COLUMN actor_kind_now TEXT NOT NULL DEFAULT 'anonymous'
    CONSTRAINT audit_events_actor_kind_known
    CHECK (actor_kind_now IN ('user', 'operator', 'anonymous', 'system', 'client'));
UPDATE audit_events SET actor_kind_now = actor_kind WHERE actor_kind <> 'anonymous';
ALTER TABLE audit_events DROP COLUMN actor_kind;
ALTER TABLE audit_events RENAME COLUMN actor_kind_now TO actor_kind;

-- Which client acted, or is concerned.
ALTER TABLE audit_events ADD COLUMN client_id TEXT;
CREATE INDEX audit_events_by_client ON audit_events (client_id, occurred_at) WHERE client_id IS NOT NULL;
