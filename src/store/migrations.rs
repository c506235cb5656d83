//! The schema's history, embedded. Applied at start, in one transaction and under a lock, so that two instances that
//! start together on one database cannot race.

use diesel::result::Error;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::AnyConnection;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Brings the store to the newest schema.
pub(super) fn apply(connection: &mut AnyConnection) -> Result<(), Error> {
    match connection {
        AnyConnection::Postgres(connection) => connection.run_pending_migrations(POSTGRES).map(|_| ()),
        AnyConnection::Sqlite(connection) => connection.run_pending_migrations(SQLITE).map(|_| ()),
    }
    .map_err(Error::QueryBuilderError)
}

/// Takes the whole schema back, with all that is in it.
pub(super) fn revert(connection: &mut AnyConnection) -> Result<(), Error> {
    match connection {
        AnyConnection::Postgres(connection) => connection.revert_all_migrations(POSTGRES).map(|_| ()),
        AnyConnection::Sqlite(connection) => connection.revert_all_migrations(SQLITE).map(|_| ()),
    }
    .map_err(Error::QueryBuilderError)
}
