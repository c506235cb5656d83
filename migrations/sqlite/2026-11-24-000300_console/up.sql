-- Sessions of the web console are rows of `sessions` like any other, so that they are listed and ended like any other.
ALTER TABLE sessions ADD COLUMN kind TEXT NOT NULL DEFAULT 'api'
    CONSTRAINT sessions_kind_known CHECK (kind IN ('api', 'console'));

-- What a session of the console has besides: the SHA-256 of the cookie's key, what the user's rights were when it
-- began, what is kept for the next page, and when the password was last given.
CREATE TABLE console_sessions (
    key_digest       BLOB   NOT NULL PRIMARY KEY,
    session_id       BLOB   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    security_version BIGINT NOT NULL,
    state            TEXT   NOT NULL,
    confirmed_at     BIGINT NOT NULL,
    CONSTRAINT console_sessions_session UNIQUE (session_id)
) WITHOUT ROWID;

-- How somebody wants to see the console. Without a row: as the browser has it, in UTC, with keyboard shortcuts.
CREATE TABLE console_preferences (
    user_id   INTEGER NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    theme     TEXT    NOT NULL,
    time_zone TEXT    NOT NULL,
    shortcuts BOOLEAN NOT NULL,
    CONSTRAINT console_preferences_theme_known CHECK (theme IN ('system', 'light', 'dark'))
);
