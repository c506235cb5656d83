-- How often a refresh token was given out once more to somebody who presented its parent within the grace window, and
-- when and for whom that was last. NULL is never, which is the rule and costs nothing.
ALTER TABLE refresh_tokens ADD COLUMN repeats BIGINT;
ALTER TABLE refresh_tokens ADD COLUMN last_repeat_at BIGINT;
ALTER TABLE refresh_tokens ADD COLUMN last_repeat_ip BYTEA;
