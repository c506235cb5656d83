//! Rotations on Postgres: any number of sessions in one statement, and so in one round trip and one commit, which is most
//! of what a rotation costs there.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};

use super::{Bound, SESSION_COLUMNS, SessionColumns, USER_COLUMNS, UserColumns, Value, push_update, statement};
use crate::store::sessions::{Changes, SessionRow};
use crate::store::users::UserRow;

/// Rotates one session. Waits for whoever has locked it.
pub(super) fn rotate_one(
    connection: &mut PgConnection,
    changes: &Changes<'_>,
) -> QueryResult<Option<(SessionRow, UserRow)>> {
    RotateOne(changes).get_result(connection).optional()
}

/// Rotates several sessions, less those that somebody else has locked: the others need
/// not wait for them, and nobody can hold one and wait for another. Gives those that were rotated, in any order.
pub(super) fn rotate_free(
    connection: &mut PgConnection,
    changes: &[Changes<'_>],
) -> QueryResult<Vec<(SessionRow, UserRow)>> {
    match changes {
        // A statement of single values is planned once; one of lists costs more than it, up to some five rows.
        [one] => RotateOneIfFree(one).load(connection),
        several => RotateAll(&Values::of(several)).load(connection),
    }
}

/// Several [`Changes`], column by column.
struct Values<'a> {
    session_id: Vec<&'a [u8]>,
    generation: Vec<i64>,
    last_generation: Vec<i64>,
    nonce_digest: Vec<&'a [u8]>,
    now: Vec<i64>,
    ip: Vec<Option<&'a [u8]>>,
    user_agent: Vec<Option<&'a str>>,
    idle_expires_at: Vec<i64>,
    window_over: Vec<i64>,
    earliest_window_generation: Vec<i64>,
    folded_generation: Vec<i64>,
}

impl<'a> Values<'a> {
    fn of(changes: &'a [Changes<'a>]) -> Self {
        Self {
            session_id: changes.iter().map(|one| one.session_id).collect(),
            generation: changes.iter().map(|one| one.generation).collect(),
            last_generation: changes.iter().map(|one| one.last_generation).collect(),
            nonce_digest: changes.iter().map(|one| one.nonce_digest).collect(),
            now: changes.iter().map(|one| one.now).collect(),
            ip: changes.iter().map(|one| one.ip.as_deref()).collect(),
            user_agent: changes.iter().map(|one| one.user_agent).collect(),
            idle_expires_at: changes.iter().map(|one| one.idle_expires_at).collect(),
            window_over: changes.iter().map(|one| one.window_over).collect(),
            earliest_window_generation: changes.iter().map(|one| one.earliest_window_generation).collect(),
            folded_generation: changes.iter().map(|one| one.folded_generation).collect(),
        }
    }

    fn push_rotation<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH a (session_id, generation, last_generation, nonce_digest, now, ip, user_agent, idle_expires_at, \
             window_over, earliest_window_generation, folded_generation) AS (SELECT * FROM unnest(",
        );
        out.push_bind_param::<Array<Binary>, _>(&self.session_id)?;
        for numbers in [&self.generation, &self.last_generation] {
            out.push_sql(", ");
            out.push_bind_param::<Array<BigInt>, _>(numbers)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.nonce_digest)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.now)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Binary>>, _>(&self.ip)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.user_agent)?;
        let numbers =
            [&self.idle_expires_at, &self.window_over, &self.earliest_window_generation, &self.folded_generation];
        for numbers in numbers {
            out.push_sql(", ");
            out.push_bind_param::<Array<BigInt>, _>(numbers)?;
        }
        out.push_sql(
            ")), free AS (SELECT s.id FROM a JOIN sessions AS s ON s.id = a.session_id \
             FOR NO KEY UPDATE OF s SKIP LOCKED), s AS (",
        );
        push_update(out, " FROM a JOIN free ON free.id = a.session_id", |out, value| {
            out.push_sql(value.column());
            Ok(())
        })?;
        out.push_sql("s.*, a.folded_generation)");
        push_the_rest(out);
        Ok(())
    }
}

/// What follows the update `s` of sessions, which also names what is folded.
///
/// The place in a status list is the one of `before`, which is what this statement's snapshot knows of the session: the
/// update may have waited for a change of the user and found the place of after it, but the user is read as the snapshot
/// knows them. Place and role must be of the same moment, or a token with the old role would get a place that nobody
/// revokes.
fn push_the_rest(out: &mut AstPass<'_, '_, Pg>) {
    out.push_sql(
        ", noted AS (INSERT INTO refresh_tokens (session_id, generation, created_at, created_ip, user_agent, \
         expires_at) SELECT id, generation, rotated_at, rotated_ip, user_agent, idle_expires_at FROM s), \
         folded AS (DELETE FROM refresh_tokens AS r USING s \
         WHERE s.folded_generation > 0 AND r.session_id = s.id AND r.generation = s.folded_generation) SELECT ",
    );
    out.push_sql(SESSION_COLUMNS);
    out.push_sql(", before.status_index, ");
    out.push_sql(USER_COLUMNS);
    out.push_sql(" FROM s JOIN sessions AS before ON before.id = s.id JOIN users AS u ON u.id = s.user_id");
}

/// The rotation of one session, with these words around its id.
fn push_one<'b>(
    changes: &'b Changes<'b>,
    out: &mut AstPass<'_, 'b, Pg>,
    before_id: &str,
    behind_id: &str,
) -> QueryResult<()> {
    let mut bound = Bound::new(changes, '$');
    out.push_sql("WITH s AS (");
    push_update(out, "", |out, value| {
        if value != Value::SessionId {
            return bound.push(out, value);
        }
        out.push_sql(before_id);
        bound.push(out, value)?;
        out.push_sql(behind_id);
        Ok(())
    })?;
    out.push_sql("s.*, ");
    out.push_bind_param::<BigInt, _>(&changes.folded_generation)?;
    out.push_sql(" AS folded_generation)");
    push_the_rest(out);
    Ok(())
}

struct RotateOne<'a>(&'a Changes<'a>);
statement!(RotateOne);

impl Query for RotateOne<'_> {
    type SqlType = (SessionColumns, UserColumns);
}

impl QueryFragment<Pg> for RotateOne<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_one(self.0, &mut out, "", "")
    }
}

struct RotateOneIfFree<'a>(&'a Changes<'a>);
statement!(RotateOneIfFree);

impl Query for RotateOneIfFree<'_> {
    type SqlType = (SessionColumns, UserColumns);
}

impl QueryFragment<Pg> for RotateOneIfFree<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_one(self.0, &mut out, "(SELECT f.id FROM sessions AS f WHERE f.id = ", " FOR NO KEY UPDATE SKIP LOCKED)")
    }
}

struct RotateAll<'a>(&'a Values<'a>);
statement!(RotateAll);

impl Query for RotateAll<'_> {
    type SqlType = (SessionColumns, UserColumns);
}

impl QueryFragment<Pg> for RotateAll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.push_rotation(&mut out)
    }
}
