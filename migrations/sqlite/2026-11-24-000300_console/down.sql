DROP TABLE console_preferences;
DROP TABLE console_sessions;
ALTER TABLE sessions DROP COLUMN kind;
