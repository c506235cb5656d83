DELETE FROM signing_keys WHERE signs_from IS NULL;
UPDATE signing_keys SET signs_from = 0, superseded_at = 0 WHERE retired_at IS NOT NULL;
ALTER TABLE signing_keys DROP COLUMN retired_at;
ALTER TABLE signing_keys DROP COLUMN signs_from;
