DROP INDEX audit_events_by_client;
-- What clients did cannot be told without their kind.
DELETE FROM audit_events WHERE actor_kind = 'client';
ALTER TABLE audit_events DROP COLUMN client_id;
ALTER TABLE audit_events ADD COLUMN actor_kind_then TEXT NOT NULL DEFAULT 'anonymous'
    CONSTRAINT audit_events_actor_kind_known
    CHECK (actor_kind_then IN ('user', 'operator', 'anonymous', 'system'));
UPDATE audit_events SET actor_kind_then = actor_kind WHERE actor_kind <> 'anonymous';
ALTER TABLE audit_events DROP COLUMN actor_kind;
ALTER TABLE audit_events RENAME COLUMN actor_kind_then TO actor_kind;
DROP TABLE client_secrets;
DROP TABLE clients;
