//! The hot statements: spending a refresh token, and reading a session with its user.
//!
//! They are written by hand for both databases. diesel prepares an update anew each time, and builds the text of every
//! query for two databases anew; for these that is most of what they would cost. Each is prepared once a connection.

mod postgres;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, HasSqlType, Integer, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::connection::AnyConnection;
use super::sessions::{Changes, SessionRow};
use super::users::UserRow;

type SessionColumns = (
    Binary,
    BigInt,
    Binary,
    BigInt,
    BigInt,
    Nullable<Binary>,
    BigInt,
    Nullable<Binary>,
    Nullable<Text>,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Text>,
    Text,
    Nullable<Integer>,
);
type UserColumns =
    (BigInt, Text, Text, Text, Text, Text, BigInt, BigInt, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>);

/// In the order of [`SessionRow`]'s fields, but for the last one, the place in a status list.
const SESSION_COLUMNS: &str = "s.id, s.user_id, s.nonce_digest, s.generation, s.created_at, s.created_ip, s.rotated_at, \
    s.rotated_ip, s.user_agent, s.idle_expires_at, s.expires_at, s.window_started_at, s.window_generation, s.ended_at, \
    s.ended_by, s.end_reason, s.kind";
/// In the order of [`UserRow`]'s fields.
const USER_COLUMNS: &str = "u.id, u.username, u.username_key, u.email, u.email_key, u.role, u.security_version, \
    u.created_at, u.last_login_at, u.disabled_at, u.deleted_at";

/// Spends a refresh token and notes it in the history; gives the session as it is afterwards, and its user.
pub(super) fn rotate(
    connection: &mut AnyConnection,
    changes: &Changes<'_>,
) -> QueryResult<Option<(SessionRow, UserRow)>> {
    match connection {
        AnyConnection::Postgres(connection) => postgres::rotate_one(connection, changes),
        AnyConnection::Sqlite(connection) => rotate_on_sqlite(connection, changes),
    }
}

/// The same for several sessions, each of which may be there once; on Postgres less those that somebody else has locked.
/// Gives those that were rotated, in any order.
pub(super) fn rotate_free(
    connection: &mut AnyConnection,
    changes: &[Changes<'_>],
) -> QueryResult<Vec<(SessionRow, UserRow)>> {
    match connection {
        AnyConnection::Postgres(connection) => postgres::rotate_free(connection, changes),
        AnyConnection::Sqlite(connection) => {
            let rotated = changes.iter().map(|changes| rotate_on_sqlite(connection, changes));
            rotated.filter_map(Result::transpose).collect()
        }
    }
}

/// SQLite has no round trips to save, and no changes within a query.
fn rotate_on_sqlite(
    connection: &mut SqliteConnection,
    changes: &Changes<'_>,
) -> QueryResult<Option<(SessionRow, UserRow)>> {
    let session: Option<SessionRow> = Rotate(changes).get_result(connection).optional()?;
    let Some(session) = session else { return Ok(None) };
    Note(changes).execute(connection)?;
    if changes.folded_generation > 0 {
        Fold(changes).execute(connection)?;
    }
    let user = FindUser(session.user_id).get_result(connection)?;
    Ok(Some((session, user)))
}

/// The session with this id and its user.
pub(super) fn find_with_user(
    connection: &mut AnyConnection,
    session: &[u8],
) -> QueryResult<Option<(SessionRow, UserRow)>> {
    match connection {
        AnyConnection::Postgres(connection) => FindWithUser(session).get_result(connection).optional(),
        AnyConnection::Sqlite(connection) => FindWithUser(session).get_result(connection).optional(),
    }
}

/// A statement whose text is the same for all values: it is prepared under its type and used again.
macro_rules! statement {
    ($name:ident) => {
        impl QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
        impl<C: Connection> RunQueryDsl<C> for $name<'_> {}
    };
}
use statement;

/// The update of a rotation, with all of its conditions, as far as RETURNING. `from` stands before WHERE, `value` writes a
/// value.
///
/// The session's row alone decides races: whoever disables, deletes or changes a password also ends the session in the
/// same transaction, and this waits for them or they for this. A new role does not end it; a token that is issued with
/// the old one then carries the old security version and is refused.
fn push_update<'b, DB: Backend>(
    out: &mut AstPass<'_, 'b, DB>,
    from: &str,
    mut value: impl FnMut(&mut AstPass<'_, 'b, DB>, Value) -> QueryResult<()>,
) -> QueryResult<()> {
    out.push_sql("UPDATE sessions AS s SET generation = s.generation + 1, rotated_at = ");
    value(out, Value::Now)?;
    out.push_sql(", rotated_ip = ");
    value(out, Value::Ip)?;
    out.push_sql(", user_agent = ");
    value(out, Value::UserAgent)?;
    out.push_sql(", idle_expires_at = ");
    value(out, Value::IdleExpiresAt)?;
    out.push_sql(", window_generation = CASE WHEN s.window_started_at <= ");
    value(out, Value::WindowOver)?;
    out.push_sql(
        " THEN s.generation ELSE s.window_generation END, window_started_at = CASE WHEN s.window_started_at <= ",
    );
    value(out, Value::WindowOver)?;
    out.push_sql(" THEN ");
    value(out, Value::Now)?;
    out.push_sql(" ELSE s.window_started_at END");
    out.push_sql(from);
    out.push_sql(" WHERE s.id = ");
    value(out, Value::SessionId)?;
    out.push_sql(" AND s.generation = ");
    value(out, Value::Generation)?;
    out.push_sql(" AND s.generation < ");
    value(out, Value::LastGeneration)?;
    out.push_sql(" AND s.nonce_digest = ");
    value(out, Value::NonceDigest)?;
    out.push_sql(" AND s.ended_at IS NULL AND s.idle_expires_at > ");
    value(out, Value::Now)?;
    out.push_sql(" AND s.expires_at > ");
    value(out, Value::Now)?;
    out.push_sql(" AND (s.window_started_at <= ");
    value(out, Value::WindowOver)?;
    out.push_sql(" OR s.window_generation > ");
    value(out, Value::EarliestWindowGeneration)?;
    out.push_sql(
        ") AND EXISTS (SELECT 1 FROM users AS u \
         WHERE u.id = s.user_id AND u.disabled_at IS NULL AND u.deleted_at IS NULL) RETURNING ",
    );
    Ok(())
}

/// The values of [`Changes`] that the update needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Now,
    Ip,
    UserAgent,
    IdleExpiresAt,
    WindowOver,
    SessionId,
    Generation,
    LastGeneration,
    NonceDigest,
    EarliestWindowGeneration,
}

impl Value {
    /// In the order of their first use, which is that of their numbers.
    const ALL: [Self; 10] = [
        Self::Now,
        Self::Ip,
        Self::UserAgent,
        Self::IdleExpiresAt,
        Self::WindowOver,
        Self::SessionId,
        Self::Generation,
        Self::LastGeneration,
        Self::NonceDigest,
        Self::EarliestWindowGeneration,
    ];

    fn number(self) -> usize {
        Self::ALL.iter().take_while(|value| **value != self).count() + 1
    }

    /// Its column in Postgres' table of what is asked for.
    const fn column(self) -> &'static str {
        match self {
            Self::Now => "a.now",
            Self::Ip => "a.ip",
            Self::UserAgent => "a.user_agent",
            Self::IdleExpiresAt => "a.idle_expires_at",
            Self::WindowOver => "a.window_over",
            Self::SessionId => "a.session_id",
            Self::Generation => "a.generation",
            Self::LastGeneration => "a.last_generation",
            Self::NonceDigest => "a.nonce_digest",
            Self::EarliestWindowGeneration => "a.earliest_window_generation",
        }
    }
}

/// Values that are bound one by one. What is used again is named by its number behind `mark`.
struct Bound<'b> {
    changes: &'b Changes<'b>,
    mark: char,
    count: usize,
}

impl<'b> Bound<'b> {
    const fn new(changes: &'b Changes<'b>, mark: char) -> Self {
        Self { changes, mark, count: 0 }
    }

    fn push<DB>(&mut self, out: &mut AstPass<'_, 'b, DB>, value: Value) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<BigInt> + HasSqlType<Binary> + HasSqlType<Text>,
        i64: ToSql<BigInt, DB>,
        [u8]: ToSql<Binary, DB>,
        Option<Vec<u8>>: ToSql<Nullable<Binary>, DB>,
        Option<&'b str>: ToSql<Nullable<Text>, DB>,
    {
        if value.number() <= self.count {
            out.push_sql(&format!("{}{}", self.mark, value.number()));
            return Ok(());
        }
        self.count = value.number();
        let changes = self.changes;
        match value {
            Value::Now => out.push_bind_param::<BigInt, _>(&changes.now),
            Value::Ip => out.push_bind_param::<Nullable<Binary>, _>(&changes.ip),
            Value::UserAgent => out.push_bind_param::<Nullable<Text>, Option<&'b str>>(&changes.user_agent),
            Value::IdleExpiresAt => out.push_bind_param::<BigInt, _>(&changes.idle_expires_at),
            Value::WindowOver => out.push_bind_param::<BigInt, _>(&changes.window_over),
            Value::SessionId => out.push_bind_param::<Binary, [u8]>(changes.session_id),
            Value::Generation => out.push_bind_param::<BigInt, _>(&changes.generation),
            Value::LastGeneration => out.push_bind_param::<BigInt, _>(&changes.last_generation),
            Value::NonceDigest => out.push_bind_param::<Binary, [u8]>(changes.nonce_digest),
            Value::EarliestWindowGeneration => out.push_bind_param::<BigInt, _>(&changes.earliest_window_generation),
        }
    }
}

struct Rotate<'a>(&'a Changes<'a>);
statement!(Rotate);

impl Query for Rotate<'_> {
    type SqlType = SessionColumns;
}

impl QueryFragment<Sqlite> for Rotate<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut bound = Bound::new(self.0, '?');
        push_update(&mut out, "", |out, value| bound.push(out, value))?;
        // SQLite knows no alias behind RETURNING.
        out.push_sql(
            "id, user_id, nonce_digest, generation, created_at, created_ip, rotated_at, rotated_ip, user_agent, \
             idle_expires_at, expires_at, window_started_at, window_generation, ended_at, ended_by, end_reason, \
             kind, status_index",
        );
        Ok(())
    }
}

struct Note<'a>(&'a Changes<'a>);
statement!(Note);

impl QueryFragment<Sqlite> for Note<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let changes = self.0;
        out.push_sql(
            "INSERT INTO refresh_tokens (session_id, generation, created_at, created_ip, user_agent, expires_at) \
             VALUES (",
        );
        out.push_bind_param::<Binary, [u8]>(changes.session_id)?;
        out.push_sql(", 1 + ");
        out.push_bind_param::<BigInt, _>(&changes.generation)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&changes.now)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Binary>, _>(&changes.ip)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, Option<&'b str>>(&changes.user_agent)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&changes.idle_expires_at)?;
        out.push_sql(")");
        Ok(())
    }
}

struct Fold<'a>(&'a Changes<'a>);
statement!(Fold);

impl QueryFragment<Sqlite> for Fold<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("DELETE FROM refresh_tokens WHERE session_id = ");
        out.push_bind_param::<Binary, [u8]>(self.0.session_id)?;
        out.push_sql(" AND generation = ");
        out.push_bind_param::<BigInt, _>(&self.0.folded_generation)?;
        Ok(())
    }
}

#[derive(QueryId)]
struct FindUser(i64);

impl<C: Connection> RunQueryDsl<C> for FindUser {}

impl Query for FindUser {
    type SqlType = UserColumns;
}

impl QueryFragment<Sqlite> for FindUser {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(USER_COLUMNS);
        out.push_sql(" FROM users AS u WHERE u.id = ");
        out.push_bind_param::<BigInt, _>(&self.0)?;
        Ok(())
    }
}

struct FindWithUser<'a>(&'a [u8]);
statement!(FindWithUser);

impl Query for FindWithUser<'_> {
    type SqlType = (SessionColumns, UserColumns);
}

impl<DB> QueryFragment<DB> for FindWithUser<'_>
where
    DB: Backend + HasSqlType<Binary>,
    [u8]: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(SESSION_COLUMNS);
        out.push_sql(", s.status_index, ");
        out.push_sql(USER_COLUMNS);
        out.push_sql(" FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE s.id = ");
        out.push_bind_param::<Binary, [u8]>(self.0)?;
        Ok(())
    }
}
