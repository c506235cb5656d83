//! The few statements that differ between the databases. Nothing else in the crate asks which one it is on.

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::AnyConnection;
use super::schema::{sessions, users};
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;

/// What a transaction can hold exclusively on Postgres; on SQLite there is only one writer anyway.
#[derive(Clone, Copy, Debug)]
pub enum Lock {
    /// Creating and migrating the store, signing keys and set-up links included.
    Setup,
    /// Who is an admin.
    Admins,
}

/// Begins a transaction that may write. SQLite takes its write lock at once: a transaction that starts as a reader
/// cannot become a writer once somebody else has written, and would fail although it waited.
pub(super) fn begin_write(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => AnsiTransactionManager::begin_transaction(connection),
        AnyConnection::Sqlite(connection) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
    }
}

/// Waits for `lock` and holds it until the transaction ends.
pub fn lock(connection: &mut AnyConnection, lock: Lock) -> QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => {
            // "relatch" in ASCII, shifted, and one more for each lock.
            let key = 0x7265_6c61_7463_6800_i64 + lock as i64;
            diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(key).execute(connection).map(|_| ())
        }
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Keeps the session's user as it is until the transaction ends: a change of the user waits for us or we for it, and
/// what is read from here on is what has been committed.
pub(super) fn hold_user_of(connection: &mut AnyConnection, session: &SessionId) -> QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => users::table
            .filter(users::id.eq_any(
                sessions::table.filter(sessions::id.eq(session.as_bytes().as_slice())).select(sessions::user_id),
            ))
            .select(users::id)
            .for_share()
            .execute(connection)
            .map(|_| ()),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// The database server's own clock; `None` where the database has no other clock than this machine's.
pub(super) fn database_time(connection: &mut AnyConnection) -> QueryResult<Option<Timestamp>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        micros: i64,
    }
    match connection {
        AnyConnection::Postgres(connection) => {
            diesel::sql_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros")
                .get_result::<Row>(connection)
                .map(|row| Some(Timestamp::from_micros(row.micros)))
        }
        AnyConnection::Sqlite(_) => Ok(None),
    }
}
