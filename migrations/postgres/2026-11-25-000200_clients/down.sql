DROP INDEX audit_events_by_client;
-- What clients did cannot be told without their kind.
DELETE FROM audit_events WHERE actor_kind = 'client';
ALTER TABLE audit_events DROP COLUMN client_id;
ALTER TABLE audit_events DROP CONSTRAINT audit_events_actor_kind_known;
ALTER TABLE audit_events ADD CONSTRAINT audit_events_actor_kind_known
    CHECK (actor_kind IN ('user', 'operator', 'anonymous', 'system'));
DROP TABLE client_secrets;
DROP TABLE clients;
