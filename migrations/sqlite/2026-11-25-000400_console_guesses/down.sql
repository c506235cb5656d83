ALTER TABLE console_sessions DROP COLUMN wrong_passwords;
