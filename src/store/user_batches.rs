//! Several users at once, a statement for all of them: what admins do with the users they have ticked.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::{sessions, users};
use super::sessions::{End, not_over};
use super::users::UserRow;
use super::{QueryResult, changes};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId};

/// Of more users than this, instances forget everybody: that is less to write and to read than a row for each.
const NOTED_SINGLY: usize = 20;

/// Those of these users who are there, deleted or not, by id.
pub fn find(connection: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<User>> {
    users::table
        .filter(users::id.eq_any(numbers(ids)))
        .order(users::id)
        .select(UserRow::as_select())
        .load(connection)?
        .into_iter()
        .map(User::try_from)
        .collect()
}

/// Keeps the users out, raising their security versions, or lets them in again.
pub fn set_disabled(connection: &mut AnyConnection, ids: &[UserId], disabled: bool, now: Timestamp) -> QueryResult<()> {
    diesel::update(users::table.filter(users::id.eq_any(numbers(ids))))
        .set((
            users::disabled_at.eq(disabled.then_some(now.as_micros())),
            users::security_version.eq(users::security_version + i64::from(disabled)),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    note(connection, ids, now)
}

/// Ends every session of the users; gives the user of each that had neither ended nor expired before.
pub fn end_sessions(connection: &mut AnyConnection, ids: &[UserId], end: &End<'_>) -> QueryResult<Vec<i64>> {
    let open = sessions::table.filter(sessions::user_id.eq_any(numbers(ids))).filter(not_over(end));
    let ended = diesel::update(open).set(end.changes()).returning(sessions::user_id).get_results(connection)?;
    note(connection, ids, end.at)?;
    Ok(ended)
}

fn note(connection: &mut AnyConnection, ids: &[UserId], now: Timestamp) -> QueryResult<()> {
    if ids.len() > NOTED_SINGLY {
        return changes::note(connection, None, now);
    }
    ids.iter().try_for_each(|id| changes::note(connection, Some(*id), now))
}

fn numbers(ids: &[UserId]) -> Vec<i64> {
    ids.iter().map(|id| id.get()).collect()
}
