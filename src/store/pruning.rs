//! Finding what is old enough to go, and deleting it, a little at a time.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::{refresh_tokens, sessions, setup_links, users};
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;

/// A part of the walk through all sessions: what in it is to go, and where the next part begins.
#[derive(Debug, Default)]
pub struct Part {
    /// Sessions that ended or expired long ago, with their history.
    pub sessions: Vec<Candidate>,
    /// Sessions that live on, and may have old history.
    pub histories: Vec<Candidate>,
    /// How many sessions are live.
    pub live: usize,
    /// The last session of this part; `None` at the end.
    pub last: Option<SessionId>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct Times {
    id: Vec<u8>,
    generation: i64,
    created_at: i64,
    ended_at: Option<i64>,
    idle_expires_at: i64,
    expires_at: i64,
}

/// A session of which something is to go.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The session.
    pub id: Vec<u8>,
    /// How many rows that may be.
    pub rows: usize,
}

/// Looks at up to `limit` sessions behind `after`, the oldest first, without holding up any writer.
pub fn look(
    connection: &mut AnyConnection,
    after: Option<SessionId>,
    cutoff: Timestamp,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Part> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let rows: Vec<Times> = sessions::table
        .filter(sessions::id.gt(after))
        .order(sessions::id)
        .limit(limit)
        .select(Times::as_select())
        .load(connection)?;
    let (cutoff, now) = (cutoff.as_micros(), now.as_micros());
    let full = i64::try_from(rows.len()).is_ok_and(|found| found == limit);
    let last = rows.last().filter(|_| full).and_then(|row| <[u8; 16]>::try_from(row.id.as_slice()).ok());
    let mut part = Part { last: last.map(SessionId::from_bytes), ..Part::default() };
    for row in rows {
        let candidate = Candidate { rows: 1 + refresh_tokens_of(row.generation), id: row.id };
        if row.ended_at.is_none() && row.idle_expires_at.min(row.expires_at) > now {
            part.live += 1;
        }
        if row.ended_at.unwrap_or(i64::MAX).min(row.idle_expires_at).min(row.expires_at) < cutoff {
            part.sessions.push(candidate);
        } else if row.created_at < cutoff {
            part.histories.push(candidate);
        }
    }
    Ok(part)
}

/// How many rotations the history holds of a session.
fn refresh_tokens_of(generation: i64) -> usize {
    usize::try_from(generation).unwrap_or(usize::MAX).min(super::refresh_tokens::KEPT_AT_MOST)
}

/// The sessions of a user.
pub fn sessions_of(connection: &mut AnyConnection, user: i64) -> QueryResult<Vec<Candidate>> {
    let rows: Vec<(Vec<u8>, i64)> = sessions::table
        .filter(sessions::user_id.eq(user))
        .select((sessions::id, sessions::generation))
        .load(connection)?;
    let candidate = |(id, generation)| Candidate { id, rows: 1 + refresh_tokens_of(generation) };
    Ok(rows.into_iter().map(candidate).collect())
}

/// Deletes sessions with their history. Their tokens are unknown from then on, and refused as that.
pub fn delete_sessions(connection: &mut AnyConnection, ids: &[Vec<u8>]) -> QueryResult<usize> {
    diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(connection)
}

/// Deletes what is older than `cutoff` in the history of sessions that live on. What decides is in the sessions' rows.
pub fn delete_history(connection: &mut AnyConnection, ids: &[Vec<u8>], cutoff: Timestamp) -> QueryResult<usize> {
    let old = refresh_tokens::table
        .filter(refresh_tokens::session_id.eq_any(ids))
        .filter(refresh_tokens::created_at.lt(cutoff.as_micros()));
    diesel::delete(old).execute(connection)
}

/// How many accounts there are, without those that are deleted.
pub fn count_accounts(connection: &mut AnyConnection) -> QueryResult<i64> {
    users::table.filter(users::deleted_at.is_null()).count().get_result(connection)
}

/// Users who were deleted before `cutoff`.
pub fn users_to_purge(connection: &mut AnyConnection, cutoff: Timestamp) -> QueryResult<Vec<i64>> {
    users::table.filter(users::deleted_at.lt(cutoff.as_micros())).select(users::id).load(connection)
}

/// Deletes a user for good, unless the deletion was taken back meanwhile. The counter sees to it that nobody gets the
/// id again.
pub fn purge_user(connection: &mut AnyConnection, id: i64, cutoff: Timestamp) -> QueryResult<usize> {
    let deleted = users::table.find(id).filter(users::deleted_at.lt(cutoff.as_micros()));
    diesel::delete(deleted).execute(connection)
}

/// Deletes set-up links that can no longer be used.
pub fn delete_setup_links(connection: &mut AnyConnection, now: Timestamp) -> QueryResult<usize> {
    diesel::delete(setup_links::table.filter(setup_links::expires_at.le(now.as_micros()))).execute(connection)
}
