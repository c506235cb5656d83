-- One-time links with which users choose another password. Each user has one at most, and only its digest is here.
-- It is worth something only while the user's rights are what they were when it was made.
CREATE TABLE reset_links (
    user_id          BIGINT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token_digest     BLOB   NOT NULL,
    security_version BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    CONSTRAINT reset_links_token_digest UNIQUE (token_digest)
) WITHOUT ROWID;
