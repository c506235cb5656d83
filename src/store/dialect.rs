//! The few statements that differ between the databases. Nothing else in the crate asks which one it is on.

use std::collections::HashSet;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};

use super::connection::AnyConnection;
use super::schema::changes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

/// What a transaction can hold exclusively on Postgres; on SQLite there is only one writer anyway.
#[derive(Clone, Copy, Debug)]
pub enum Lock {
    /// Creating and migrating the store, signing keys and set-up links included.
    Setup,
    /// Who is an admin.
    Admins,
    /// Beginning a status list.
    StatusLists,
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

/// Inserts a row, or changes the one of the same key into it: of two at once, neither fails for the other.
macro_rules! upsert {
    ($connection:expr, $table:expr, $key:expr, $row:expr) => {
        match $connection {
            $crate::store::connection::AnyConnection::Postgres(connection) => {
                diesel::insert_into($table).values($row).on_conflict($key).do_update().set($row).execute(connection)
            }
            $crate::store::connection::AnyConnection::Sqlite(connection) => {
                diesel::insert_into($table).values($row).on_conflict($key).do_update().set($row).execute(connection)
            }
        }
    };
}
pub(super) use upsert;

/// Inserts a row unless there is one of the same key: of two at once, neither fails for the other. Gives how many were
/// inserted.
macro_rules! insert_if_missing {
    ($connection:expr, $table:expr, $row:expr) => {
        match $connection {
            $crate::store::connection::AnyConnection::Postgres(connection) => {
                diesel::insert_into($table).values($row).on_conflict_do_nothing().execute(connection)
            }
            $crate::store::connection::AnyConnection::Sqlite(connection) => {
                diesel::insert_into($table).values($row).on_conflict_do_nothing().execute(connection)
            }
        }
    };
}
pub(super) use insert_if_missing;

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

/// Waits for whoever changes this user, and lets nobody change them until the transaction ends.
pub(super) fn lock_user(connection: &mut AnyConnection, user: UserId) -> QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => diesel::sql_query("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE")
            .bind::<BigInt, _>(user.get())
            .execute(connection)
            .map(|_| ()),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Waits for whoever changes this session or its user, and keeps both as they are until the transaction ends. Not shared:
/// who ends a session of their own would have to take the lock anew for it, as would whoever waits beside them.
pub(super) fn hold_session_and_user(connection: &mut AnyConnection, session: &[u8]) -> QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => diesel::sql_query(
            "SELECT 1 FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE s.id = $1 FOR NO KEY UPDATE OF u, s",
        )
        .bind::<Binary, _>(session)
        .execute(connection)
        .map(|_| ()),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// The database server's own clock; `None` where the database has no other clock than this machine's.
pub(super) fn database_time(connection: &mut AnyConnection) -> QueryResult<Option<Timestamp>> {
    match connection {
        AnyConnection::Postgres(connection) => {
            diesel::sql_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS number")
                .get_result::<Number>(connection)
                .map(|row| Some(Timestamp::from_micros(row.number)))
        }
        AnyConnection::Sqlite(_) => Ok(None),
    }
}

/// The function that finds a text within another, letter by letter. `LIKE` ignores case on SQLite alone.
pub(super) const fn position_function(connection: &AnyConnection) -> &'static str {
    match connection {
        AnyConnection::Postgres(_) => "strpos",
        AnyConnection::Sqlite(_) => "instr",
    }
}

/// How far the changes have been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Position {
    /// On Postgres: every transaction below this id had ended. Rows of later ones that were read are not read again.
    Transaction {
        /// The id.
        below: i64,
        /// The numbers of those rows.
        seen: HashSet<i64>,
    },
    /// On SQLite, where one transaction commits after the other: the last number read.
    Sequence(i64),
}

/// Notes a change of what has this number, which is a user's as a rule, or of everything.
pub(super) fn note_change(connection: &mut AnyConnection, user: Option<i64>, at: Timestamp) -> QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => diesel::sql_query(
            "INSERT INTO changes (xid, at, user_id) VALUES (pg_current_xact_id()::text::bigint, $1, $2)",
        )
        .bind::<BigInt, _>(at.as_micros())
        .bind::<Nullable<BigInt>, _>(user)
        .execute(connection),
        AnyConnection::Sqlite(connection) => diesel::insert_into(changes::table)
            .values((changes::at.eq(at.as_micros()), changes::user_id.eq(user)))
            .execute(connection),
    }
    .map(|_| ())
}

/// Where the changes end now.
pub fn end_of_changes(connection: &mut AnyConnection) -> QueryResult<Position> {
    match connection {
        AnyConnection::Postgres(connection) => {
            Ok(Position::Transaction { below: oldest_transaction(connection)?, seen: HashSet::new() })
        }
        AnyConnection::Sqlite(connection) => changes::table
            .select(diesel::dsl::max(changes::seq))
            .first::<Option<i64>>(connection)
            .map(|last| Position::Sequence(last.unwrap_or(0))),
    }
}

/// The oldest transaction that still runs.
fn oldest_transaction(connection: &mut PgConnection) -> QueryResult<i64> {
    diesel::sql_query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS number")
        .get_result::<Number>(connection)
        .map(|row| row.number)
}

/// The users of all changes since `position`, and the next position. On Postgres that is the oldest transaction that
/// was still running before the rows were read: what it and later ones commit is read next time.
pub(super) fn changes_since(
    connection: &mut AnyConnection,
    position: Position,
) -> QueryResult<(Vec<Option<i64>>, Position)> {
    match (connection, position) {
        (AnyConnection::Postgres(connection), Position::Transaction { below, seen }) => {
            let oldest = oldest_transaction(connection)?;
            let rows: Vec<ChangedUser> = diesel::sql_query("SELECT seq, xid, user_id FROM changes WHERE xid >= $1")
                .bind::<BigInt, _>(below)
                .load(connection)?;
            let still_seen = rows.iter().filter(|row| row.xid >= oldest).map(|row| row.seq).collect();
            let next = Position::Transaction { below: oldest, seen: still_seen };
            if oldest < below {
                // Another server has taken over, and not with everything: nobody knows what is missing.
                return Ok((vec![None], next));
            }
            Ok((rows.into_iter().filter(|row| !seen.contains(&row.seq)).map(|row| row.user_id).collect(), next))
        }
        (AnyConnection::Sqlite(connection), Position::Sequence(since)) => {
            let rows: Vec<(i64, Option<i64>)> = changes::table
                .filter(changes::seq.gt(since))
                .order(changes::seq)
                .select((changes::seq, changes::user_id))
                .load(connection)?;
            let last = rows.last().map_or(since, |(seq, _)| *seq);
            Ok((rows.into_iter().map(|(_, user)| user).collect(), Position::Sequence(last)))
        }
        // A position of the other database: nobody knows what was missed.
        (connection, _) => Ok((vec![None], end_of_changes(connection)?)),
    }
}

#[derive(QueryableByName)]
struct ChangedUser {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = BigInt)]
    xid: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    user_id: Option<i64>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
