-- Programs that act on their own: resource servers that introspect tokens, and service accounts.
CREATE TABLE clients (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name             TEXT             NOT NULL,
    audience         TEXT,
    scopes           TEXT             NOT NULL,
    security_version BIGINT           NOT NULL,
    created_at       BIGINT           NOT NULL,
    created_by       BIGINT,
    disabled_at      BIGINT,
    last_used_at     BIGINT,
    last_used_ip     BYTEA
);

CREATE INDEX clients_by_creation ON clients (created_at, id);

-- What they prove it with. Only the SHA-256 of a secret is here; it has 256 bits, so that needs no slow hash.
CREATE TABLE client_secrets (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id    TEXT COLLATE "C" NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    digest       BYTEA            NOT NULL,
    created_at   BIGINT           NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    CONSTRAINT client_secrets_digest UNIQUE (digest)
);

CREATE INDEX client_secrets_by_client ON client_secrets (client_id, created_at);

-- One more kind of actor.
ALTER TABLE audit_events DROP CONSTRAINT audit_events_actor_kind_known;
ALTER TABLE audit_events ADD CONSTRAINT audit_events_actor_kind_known
    CHECK (actor_kind IN ('user', 'operator', 'anonymous', 'system', 'client'));

-- Which client acted, or is concerned.
ALTER TABLE audit_events ADD COLUMN client_id TEXT COLLATE "C";
CREATE INDEX audit_events_by_client ON audit_events (client_id, occurred_at, id) WHERE client_id IS NOT NULL;
