-- Times are microseconds since 1970-01-01T00:00:00Z, written by the application's clock. Addresses are 16 bytes,
-- IPv4 ones mapped into IPv6.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Numbers that are handed out once: a counter survives the deletion of what it numbered.
CREATE TABLE counters (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('user_id', 0);

CREATE TABLE users (
    id                  INTEGER NOT NULL PRIMARY KEY,
    username            TEXT    NOT NULL,
    username_key        TEXT    NOT NULL,
    email               TEXT    NOT NULL,
    email_key           TEXT    NOT NULL,
    role                TEXT    NOT NULL,
    password_hash       TEXT    NOT NULL,
    security_version    BIGINT  NOT NULL,
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL,
    password_changed_at BIGINT  NOT NULL,
    last_login_at       BIGINT,
    disabled_at         BIGINT,
    deleted_at          BIGINT,
    CONSTRAINT users_username_key UNIQUE (username_key),
    CONSTRAINT users_email_key UNIQUE (email_key),
    CONSTRAINT users_role_known CHECK (role IN ('Admin', 'User')),
    CONSTRAINT users_id_positive CHECK (id > 0)
);

CREATE TABLE sessions (
    id                BLOB   NOT NULL PRIMARY KEY,
    user_id           BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    nonce_digest      BLOB   NOT NULL,
    generation        BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    created_ip        BLOB,
    rotated_at        BIGINT NOT NULL,
    rotated_ip        BLOB,
    user_agent        TEXT,
    idle_expires_at   BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    window_started_at BIGINT NOT NULL,
    window_generation BIGINT NOT NULL,
    ended_at          BIGINT,
    ended_ip          BLOB,
    ended_by          BIGINT,
    end_reason        TEXT,
    CONSTRAINT sessions_generation_range CHECK (generation BETWEEN 1 AND 2147483648),
    CONSTRAINT sessions_end_whole CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

-- History for people to read. It never decides anything.
CREATE TABLE refresh_tokens (
    session_id BLOB   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_ip BLOB,
    user_agent TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, generation)
) WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid                TEXT   NOT NULL PRIMARY KEY,
    algorithm          TEXT   NOT NULL,
    public_jwk         TEXT   NOT NULL,
    sealed_private_key BLOB   NOT NULL,
    sealed_with        TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    superseded_at      BIGINT,
    CONSTRAINT signing_keys_algorithm_known CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256'))
) WITHOUT ROWID;

CREATE TABLE setup_links (
    token_digest BLOB   NOT NULL PRIMARY KEY,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit_events (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    occurred_at     BIGINT  NOT NULL,
    kind            TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    actor_user_id   BIGINT,
    subject_user_id BIGINT,
    session_id      BLOB,
    ip              BLOB,
    user_agent      TEXT,
    request_id      TEXT,
    detail          TEXT    NOT NULL,
    CONSTRAINT audit_events_severity_known CHECK (severity IN ('info', 'warning', 'critical'))
);
