-- A signing key has a schedule: `signs_from` says from when on it signs, `superseded_at` when another takes its place.
-- Both may lie ahead. A key without `signs_from` is published and waits for its turn. `retired_at` is set where a key was
-- taken out of use before its last token had expired, and means at once. Until now a key that had been superseded at the
-- beginning of all times told that. SQLite takes a new constraint with a new column only.
ALTER TABLE signing_keys ADD COLUMN signs_from BIGINT;
UPDATE signing_keys SET signs_from = created_at WHERE superseded_at IS NULL OR superseded_at >= created_at;
UPDATE signing_keys SET signs_from = 0 WHERE superseded_at < created_at;
ALTER TABLE signing_keys ADD COLUMN retired_at BIGINT CONSTRAINT signing_keys_in_turn
    CHECK (superseded_at IS NULL OR (signs_from IS NOT NULL AND superseded_at >= signs_from));
UPDATE signing_keys SET retired_at = created_at, superseded_at = created_at WHERE superseded_at = 0;
UPDATE signing_keys SET superseded_at = created_at WHERE superseded_at < created_at;
UPDATE signing_keys SET signs_from = created_at;
