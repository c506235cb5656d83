DROP TABLE audit_events;
DROP TABLE setup_links;
DROP TABLE signing_keys;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE counters;
DROP TABLE meta;
