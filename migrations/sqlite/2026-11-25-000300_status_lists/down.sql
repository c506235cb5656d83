DROP TABLE revoked_status_indexes;
DROP TABLE status_lists;
DROP INDEX sessions_by_end;
ALTER TABLE sessions DROP COLUMN status_index;
