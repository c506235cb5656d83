//! The few statements that differ between the databases. Nothing else in the crate asks which one it is on.

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::connection::AnyConnection;
use super::schema::changes;
use super::sessions::{Changes, SessionRow, rotate_step_by_step};
use super::users::UserRow;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

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

/// Spends a refresh token and notes it in the history. On Postgres that is one statement and so one round trip, which
/// is most of what a rotation costs there; SQLite has no round trips and no data-modifying subqueries.
pub(super) fn rotate(
    connection: &mut AnyConnection,
    changes: &Changes<'_>,
) -> QueryResult<Option<(SessionRow, UserRow)>> {
    match connection {
        AnyConnection::Postgres(connection) => RotateAtOnce(changes).get_result(connection).optional(),
        AnyConnection::Sqlite(_) => rotate_step_by_step(connection, changes),
    }
}

/// The statement of a rotation. Written as a fragment, so that Postgres prepares it once a connection.
///
/// The session's row alone decides races: whoever disables, deletes or changes a password also ends the session in the
/// same transaction, and this waits for them or they for this. A new role does not end it; a token that is issued with
/// the old one then carries the old security version and is refused.
struct RotateAtOnce<'a>(&'a Changes<'a>);

impl QueryId for RotateAtOnce<'_> {
    type QueryId = RotateAtOnce<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for RotateAtOnce<'_> {
    type SqlType = (SqlTypeOf<AsSelect<SessionRow, Pg>>, SqlTypeOf<AsSelect<UserRow, Pg>>);
}

impl RunQueryDsl<PgConnection> for RotateAtOnce<'_> {}

impl QueryFragment<Pg> for RotateAtOnce<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let changes = self.0;
        out.push_sql("WITH rotated AS (UPDATE sessions SET generation = generation + 1, rotated_at = ");
        out.push_bind_param::<BigInt, _>(&changes.now)?; // $1
        out.push_sql(", rotated_ip = ");
        out.push_bind_param::<Nullable<Binary>, _>(&changes.ip)?;
        out.push_sql(", user_agent = ");
        out.push_bind_param::<Nullable<Text>, _>(&changes.user_agent)?;
        out.push_sql(", idle_expires_at = ");
        out.push_bind_param::<BigInt, _>(&changes.idle_expires_at)?;
        out.push_sql(", window_generation = CASE WHEN window_started_at <= ");
        out.push_bind_param::<BigInt, _>(&changes.window_over)?; // $5
        out.push_sql(
            " THEN generation ELSE window_generation END, \
             window_started_at = CASE WHEN window_started_at <= $5 THEN $1 ELSE window_started_at END WHERE id = ",
        );
        out.push_bind_param::<Binary, _>(&changes.session_id)?; // $6
        out.push_sql(" AND generation = ");
        out.push_bind_param::<BigInt, _>(&changes.generation)?;
        out.push_sql(" AND generation < ");
        out.push_bind_param::<BigInt, _>(&changes.last_generation)?;
        out.push_sql(" AND nonce_digest = ");
        out.push_bind_param::<Binary, _>(&changes.nonce_digest)?;
        out.push_sql(
            " AND ended_at IS NULL AND idle_expires_at > $1 AND expires_at > $1 \
             AND (window_started_at <= $5 OR window_generation > ",
        );
        out.push_bind_param::<BigInt, _>(&changes.earliest_window_generation)?;
        out.push_sql(
            ") AND EXISTS (SELECT 1 FROM users \
             WHERE users.id = sessions.user_id AND disabled_at IS NULL AND deleted_at IS NULL) RETURNING *), \
             noted AS (INSERT INTO refresh_tokens (session_id, generation, created_at, created_ip, user_agent, \
             expires_at) SELECT id, generation, rotated_at, rotated_ip, user_agent, idle_expires_at FROM rotated), \
             folded AS (DELETE FROM refresh_tokens WHERE session_id = $6 AND generation = ",
        );
        out.push_bind_param::<BigInt, _>(&changes.folded_generation)?;
        out.push_sql(" AND EXISTS (SELECT 1 FROM rotated)) SELECT ");
        // In the order of the fields of the two rows.
        out.push_sql(
            "rotated.id, user_id, nonce_digest, generation, rotated.created_at, created_ip, rotated_at, rotated_ip, \
             user_agent, idle_expires_at, expires_at, window_started_at, window_generation, ended_at, ended_by, \
             end_reason, users.id, username, username_key, email, email_key, role, security_version, \
             users.created_at, last_login_at, disabled_at, deleted_at",
        );
        out.push_sql(" FROM rotated JOIN users ON users.id = rotated.user_id");
        Ok(())
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// On Postgres: every transaction below this id had ended.
    Transaction(i64),
    /// On SQLite, where one transaction commits after the other: the last number read.
    Sequence(i64),
}

/// Notes a change of one user's sessions or rights, or of everybody's.
pub fn note_change(connection: &mut AnyConnection, user: Option<UserId>, at: Timestamp) -> QueryResult<()> {
    let user = user.map(UserId::get);
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
            diesel::sql_query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS number")
                .get_result::<Number>(connection)
                .map(|row| Position::Transaction(row.number))
        }
        AnyConnection::Sqlite(connection) => changes::table
            .select(diesel::dsl::max(changes::seq))
            .first::<Option<i64>>(connection)
            .map(|last| Position::Sequence(last.unwrap_or(0))),
    }
}

/// The users of all changes since `position`, and the next position. On Postgres that is the oldest transaction that
/// was still running before the rows were read: what it and later ones commit is read, or read again, next time.
pub(super) fn changes_since(
    connection: &mut AnyConnection,
    position: Position,
) -> QueryResult<(Vec<Option<i64>>, Position)> {
    let end = end_of_changes(connection)?;
    let rows = match (connection, position) {
        (AnyConnection::Postgres(connection), Position::Transaction(since)) => {
            diesel::sql_query("SELECT user_id FROM changes WHERE xid >= $1")
                .bind::<BigInt, _>(since)
                .load::<ChangedUser>(connection)?
                .into_iter()
                .map(|row| row.user_id)
                .collect()
        }
        (AnyConnection::Sqlite(connection), Position::Sequence(since)) => {
            let rows: Vec<(i64, Option<i64>)> = changes::table
                .filter(changes::seq.gt(since))
                .order(changes::seq)
                .select((changes::seq, changes::user_id))
                .load(connection)?;
            let last = rows.last().map_or(since, |(seq, _)| *seq);
            return Ok((rows.into_iter().map(|(_, user)| user).collect(), Position::Sequence(last)));
        }
        // A position of the other database: nobody knows what was missed.
        _ => vec![None],
    };
    Ok((rows, end))
}

#[derive(QueryableByName)]
struct ChangedUser {
    #[diesel(sql_type = Nullable<BigInt>)]
    user_id: Option<i64>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
