//! Many sessions at once: counting and ending all that a filter matches, a batch at a time.

use diesel::prelude::*;

use super::end::End;
use super::filter::{BulkFilter, Condition, conditions};
use crate::domain::session::SessionId;
use crate::store::changes;
use crate::store::connection::AnyConnection;
use crate::store::error::impossible_row;
use crate::store::schema::{sessions, users};

/// The conditions of a filter, and that a session has not ended.
fn of_open(connection: &mut AnyConnection, filter: &BulkFilter) -> Vec<Condition<sessions::table>> {
    let mut all = conditions!(sessions::table, filter, connection);
    all.push(Box::new(sessions::ended_at.is_null()));
    if let Some(role) = filter.role {
        let of_role = users::table.filter(users::role.eq(role.as_str())).select(users::id);
        all.push(Box::new(sessions::user_id.eq_any(of_role)));
    }
    all
}

/// How many sessions that have not ended the filter matches.
pub fn count(connection: &mut AnyConnection, filter: &BulkFilter) -> QueryResult<i64> {
    let mut query = sessions::table.count().into_boxed();
    for condition in of_open(connection, filter) {
        query = query.filter(condition);
    }
    query.get_result(connection)
}

/// Ends up to `limit` of the sessions behind `after` that the filter matches, in one update that asks for all of it
/// again. Says how many, and behind which to go on, if there may be more.
pub fn end_batch(
    connection: &mut AnyConnection,
    filter: &BulkFilter,
    after: Option<SessionId>,
    limit: i64,
    end: &End<'_>,
) -> QueryResult<(usize, Option<SessionId>)> {
    let mut batch = sessions::table.select(sessions::id).order(sessions::id).limit(limit).into_boxed();
    for condition in of_open(connection, filter) {
        batch = batch.filter(condition);
    }
    if let Some(after) = after {
        batch = batch.filter(sessions::id.gt(after.as_bytes().to_vec()));
    }
    let ids: Vec<Vec<u8>> = batch.load(connection)?;
    let Some(last) = ids.iter().max() else { return Ok((0, None)) };
    let last = <[u8; 16]>::try_from(last.as_slice())
        .map(SessionId::from_bytes)
        .map_err(|_| impossible_row("sessions", format!("{last:02x?}"), "the id is not 16 bytes"))?;
    let more = i64::try_from(ids.len()).is_ok_and(|found| found == limit).then_some(last);
    let mut update = diesel::update(sessions::table).set(end.changes()).into_boxed().filter(sessions::id.eq_any(ids));
    for condition in of_open(connection, filter) {
        update = update.filter(condition);
    }
    let ended = update.execute(connection)?;
    changes::note(connection, filter.user_id, end.at)?;
    Ok((ended, more))
}
