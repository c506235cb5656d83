//! Many sessions at once: counting and ending all that a filter matches, a batch at a time.
//!
//! What is to be ended is looked for outside of the transaction that ends it, for so many sessions at a time: a filter
//! that matches few of many would hold up every writer of SQLite for as long as it looks.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Text};

use super::end::{End, not_over};
use super::filter::{BulkFilter, Condition, conditions};
use crate::domain::session::SessionId;
use crate::store::changes;
use crate::store::connection::AnyConnection;
use crate::store::error::impossible_row;
use crate::store::schema::{sessions, users};

/// How many sessions that have not ended the filter matches.
pub fn count(connection: &mut AnyConnection, filter: &BulkFilter) -> QueryResult<i64> {
    let mut query = sessions::table.filter(sessions::ended_at.is_null()).count().into_boxed();
    for condition in conditions!(sessions::table, filter, connection) {
        query = query.filter(condition);
    }
    if let Some(role) = filter.role {
        let of_role = users::table.filter(users::role.eq(role.as_str())).select(users::id);
        query = query.filter(sessions::user_id.eq_any(of_role));
    }
    query.get_result(connection)
}

/// The conditions of a filter for sessions that are looked at one by one.
fn of_each(connection: &mut AnyConnection, filter: &BulkFilter) -> Vec<Condition<sessions::table>> {
    let mut all = conditions!(sessions::table, filter, connection);
    all.push(Box::new(sessions::ended_at.is_null()));
    if let Some(role) = filter.role {
        // No planner turns this into reading all users.
        let role_of = sql::<Bool>("(SELECT r.role FROM users AS r WHERE r.id = sessions.user_id) = ");
        all.push(Box::new(role_of.bind::<Text, _>(role.as_str().to_owned())));
    }
    all
}

/// What was found in a part of the sessions.
#[derive(Clone, Debug)]
pub struct Part {
    /// The sessions, in the order of their ids.
    pub ids: Vec<SessionId>,
    /// Behind which to go on, if there may be more.
    pub more: Option<SessionId>,
}

/// Which of the next `look_at` sessions behind `after` have not ended and match the filter. Those of one user are found
/// by their index: then there are up to `look_at` of them.
pub fn find_part(
    connection: &mut AnyConnection,
    filter: &BulkFilter,
    after: Option<SessionId>,
    look_at: i64,
) -> QueryResult<Part> {
    let mut query = sessions::table.select(sessions::id).into_boxed();
    for condition in of_each(connection, filter) {
        query = query.filter(condition);
    }
    if filter.user_id.is_some() {
        // The order of ids is hidden from planners, who would otherwise walk through everybody's sessions for it.
        if let Some(after) = after {
            let behind = sql::<Bool>("coalesce(sessions.id, sessions.id) > ");
            query = query.filter(behind.bind::<Binary, _>(after.as_bytes().to_vec()));
        }
        let rows: Vec<Vec<u8>> =
            query.order(sql::<Binary>("coalesce(sessions.id, sessions.id)")).limit(look_at).load(connection)?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= look_at);
        let ids = rows.into_iter().map(to_id).collect::<QueryResult<Vec<_>>>()?;
        return Ok(Part { more: ids.last().copied().filter(|_| is_full), ids });
    }
    // Ids begin with the time (RFC 9562 §5.7), so that those of other times need not be looked at.
    let after = after.into_iter().chain(filter.created_since.map(SessionId::first_of)).max();
    let until = filter.created_before.into_iter().chain(filter.begun_by).min().map(SessionId::last_of);
    let mut last = sessions::table.select(sessions::id).order(sessions::id).offset(look_at - 1).limit(1).into_boxed();
    if let Some(after) = after {
        query = query.filter(sessions::id.gt(after.as_bytes().to_vec()));
        last = last.filter(sessions::id.gt(after.as_bytes().to_vec()));
    }
    if let Some(until) = until {
        last = last.filter(sessions::id.le(until.as_bytes().to_vec()));
    }
    let more = last.first::<Vec<u8>>(connection).optional()?.map(to_id).transpose()?;
    if let Some(end) = more.or(until) {
        query = query.filter(sessions::id.le(end.as_bytes().to_vec()));
    }
    let rows: Vec<Vec<u8>> = query.order(sessions::id).load(connection)?;
    Ok(Part { ids: rows.into_iter().map(to_id).collect::<QueryResult<_>>()?, more })
}

/// Ends those of these sessions that have neither ended nor expired and still match the filter; says how many.
pub fn end_part(
    connection: &mut AnyConnection,
    filter: &BulkFilter,
    ids: &[SessionId],
    end: &End<'_>,
) -> QueryResult<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    let mut update = diesel::update(sessions::table).set(end.changes()).into_boxed().filter(sessions::id.eq_any(ids));
    update = update.filter(not_over(end));
    for condition in of_each(connection, filter) {
        update = update.filter(condition);
    }
    let ended = update.execute(connection)?;
    changes::note(connection, filter.user_id, end.at)?;
    Ok(ended)
}

fn to_id(bytes: Vec<u8>) -> QueryResult<SessionId> {
    <[u8; 16]>::try_from(bytes.as_slice())
        .map(SessionId::from_bytes)
        .map_err(|_| impossible_row("sessions", format!("{bytes:02x?}"), "the id is not 16 bytes"))
}
