-- How many wrong passwords were given in a row in a session of the console: after the last one allowed it ends.
ALTER TABLE console_sessions ADD COLUMN wrong_passwords INTEGER NOT NULL DEFAULT 0;
