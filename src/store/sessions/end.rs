//! Ending sessions: always conditional on their not having ended, so that the first end stands. What expired long ago has
//! ended of itself: it is not ended once more, nor counted.

use diesel::dsl::{And, Gt, IsNull};
use diesel::prelude::*;

use crate::domain::client::Client;
use crate::domain::session::{EndReason, SessionId};
use crate::domain::timestamp::{CLOCK_TOLERANCE, Timestamp};
use crate::domain::user::UserId;
use crate::store::connection::AnyConnection;
use crate::store::schema::sessions;
use crate::store::{address, changes};

/// How and by whom a session is ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
    /// Which user or admin did it, if one did.
    pub by: Option<UserId>,
    /// From where.
    pub client: &'a Client,
}

#[derive(AsChangeset)]
#[diesel(table_name = sessions)]
pub(in crate::store) struct Ended {
    ended_at: i64,
    ended_ip: Option<Vec<u8>>,
    ended_by: Option<i64>,
    end_reason: &'static str,
}

impl End<'_> {
    pub(in crate::store) fn changes(&self) -> Ended {
        Ended {
            ended_at: self.at.as_micros(),
            ended_ip: self.client.address().map(address::to_bytes),
            ended_by: self.by.map(UserId::get),
            end_reason: self.reason.as_str(),
        }
    }
}

type NotOver = And<And<IsNull<sessions::ended_at>, Gt<sessions::idle_expires_at, i64>>, Gt<sessions::expires_at, i64>>;

/// That a session has neither ended nor expired, by the clock of any instance.
pub(in crate::store) fn not_over(end: &End<'_>) -> NotOver {
    let at = end.at.before(CLOCK_TOLERANCE).as_micros();
    sessions::ended_at.is_null().and(sessions::idle_expires_at.gt(at)).and(sessions::expires_at.gt(at))
}

/// Ends one session; `false` when it had ended or expired before or does not exist.
pub fn end(connection: &mut AnyConnection, id: SessionId, end: &End<'_>) -> QueryResult<bool> {
    let open = sessions::table.find(id.as_bytes().as_slice()).filter(not_over(end));
    let user =
        diesel::update(open).set(end.changes()).returning(sessions::user_id).get_result(connection).optional()?;
    Ok(note(connection, user, end)?.is_some())
}

/// Ends the session of a genuine token, for which the token's nonce must be the session's; gives whose it was when this
/// ended it. A session that has expired is ended, too: whoever revokes a token need not know how old it is.
pub fn end_with_nonce(
    connection: &mut AnyConnection,
    id: SessionId,
    nonce_digest: &[u8; 32],
    end: &End<'_>,
) -> QueryResult<Option<UserId>> {
    let open = sessions::table
        .find(id.as_bytes().as_slice())
        .filter(sessions::nonce_digest.eq(nonce_digest.as_slice()))
        .filter(sessions::ended_at.is_null());
    let user =
        diesel::update(open).set(end.changes()).returning(sessions::user_id).get_result(connection).optional()?;
    note(connection, user, end)
}

/// Tells all instances that a session of this user was ended, if one was; gives whose.
fn note(connection: &mut AnyConnection, user: Option<i64>, end: &End<'_>) -> QueryResult<Option<UserId>> {
    let user = user.and_then(UserId::new);
    if user.is_some() {
        changes::note(connection, user, end.at)?;
    }
    Ok(user)
}

/// Ends those of these sessions that have neither ended nor expired; gives them, and whose they were.
pub fn end_these(
    connection: &mut AnyConnection,
    ids: &[SessionId],
    end: &End<'_>,
) -> QueryResult<Vec<(SessionId, Option<UserId>)>> {
    let ids: Vec<_> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    let open = sessions::table.filter(sessions::id.eq_any(ids)).filter(not_over(end));
    let ended: Vec<(Vec<u8>, i64)> =
        diesel::update(open).set(end.changes()).returning((sessions::id, sessions::user_id)).get_results(connection)?;
    let ended: Vec<_> = ended
        .into_iter()
        .filter_map(|(id, user)| Some((SessionId::from_bytes(id.try_into().ok()?), UserId::new(user))))
        .collect();
    match ended.first() {
        None => {}
        Some((_, one)) if ended.iter().all(|(_, user)| user == one) => changes::note(connection, *one, end.at)?,
        Some(_) => changes::note(connection, None, end.at)?,
    }
    Ok(ended)
}

/// Ends every session of a user; says how many had neither ended nor expired before.
pub fn end_all(connection: &mut AnyConnection, user: UserId, end: &End<'_>) -> QueryResult<usize> {
    let open = sessions::table.filter(sessions::user_id.eq(user.get())).filter(not_over(end));
    let ended = diesel::update(open).set(end.changes()).execute(connection)?;
    changes::note(connection, Some(user), end.at)?;
    Ok(ended)
}

/// Ends every session of a user but this one; says how many had not ended or expired before.
pub fn end_others(connection: &mut AnyConnection, user: UserId, kept: SessionId, end: &End<'_>) -> QueryResult<usize> {
    let live = sessions::table
        .filter(sessions::user_id.eq(user.get()))
        .filter(sessions::id.ne(kept.as_bytes().as_slice()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_expires_at.gt(end.at.as_micros()))
        .filter(sessions::expires_at.gt(end.at.as_micros()));
    let ended = diesel::update(live).set(end.changes()).execute(connection)?;
    changes::note(connection, Some(user), end.at)?;
    Ok(ended)
}

/// Ends the least recently used of a user's live sessions until at most `keep` are left besides `newest`; says which.
pub fn end_least_recently_used(
    connection: &mut AnyConnection,
    user: UserId,
    newest: SessionId,
    keep: u32,
    end: &End<'_>,
) -> QueryResult<Vec<SessionId>> {
    let surplus: Vec<Vec<u8>> = sessions::table
        .filter(sessions::user_id.eq(user.get()))
        .filter(sessions::id.ne(newest.as_bytes().as_slice()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_expires_at.gt(end.at.as_micros()))
        .filter(sessions::expires_at.gt(end.at.as_micros()))
        .order((sessions::rotated_at.desc(), sessions::id.desc()))
        .limit(i64::MAX)
        .offset(i64::from(keep))
        .select(sessions::id)
        .load(connection)?;
    if surplus.is_empty() {
        return Ok(Vec::new());
    }
    let open = sessions::table.filter(sessions::id.eq_any(surplus)).filter(sessions::ended_at.is_null());
    let ended: Vec<Vec<u8>> =
        diesel::update(open).set(end.changes()).returning(sessions::id).get_results(connection)?;
    changes::note(connection, Some(user), end.at)?;
    Ok(ended.into_iter().filter_map(|id| id.try_into().ok()).map(SessionId::from_bytes).collect())
}
