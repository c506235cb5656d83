ALTER TABLE refresh_tokens DROP COLUMN last_repeat_ip;
ALTER TABLE refresh_tokens DROP COLUMN last_repeat_at;
ALTER TABLE refresh_tokens DROP COLUMN repeats;
