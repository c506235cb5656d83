//! A user with their sessions, for the page about the user: one statement.

use diesel::prelude::*;

use super::SessionRow;
use crate::domain::session::Session;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{sessions, users};
use crate::store::users::UserRow;

diesel::alias!(const ENDERS: Alias<Enders> = users as enders);

/// A user with up to `limit` of their sessions, each with the name of the user who ended it, if one did: those first that
/// are live at `now`, and the newest of each first.
#[derive(Debug)]
pub struct WithSessions {
    /// The user, deleted or not.
    pub user: User,
    /// The sessions.
    pub sessions: Vec<(Session, Option<String>)>,
}

/// The user with this id.
pub fn find_with_sessions(
    connection: &mut AnyConnection,
    id: UserId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Option<WithSessions>> {
    let is_live = sessions::ended_at
        .is_null()
        .and(sessions::idle_expires_at.gt(now.as_micros()))
        .and(sessions::expires_at.gt(now.as_micros()));
    let rows: Vec<(UserRow, Option<SessionRow>, Option<String>)> = users::table
        .left_join(sessions::table)
        .left_join(ENDERS.on(ENDERS.field(users::id).nullable().eq(sessions::ended_by)))
        .filter(users::id.eq(id.get()))
        .order((is_live.desc(), sessions::id.desc()))
        .limit(limit)
        .select((UserRow::as_select(), Option::<SessionRow>::as_select(), ENDERS.field(users::username).nullable()))
        .load(connection)?;
    let mut found: Option<WithSessions> = None;
    for (user, session, ended_by) in rows {
        let found = match &mut found {
            Some(found) => found,
            None => found.insert(WithSessions { user: user.try_into()?, sessions: Vec::new() }),
        };
        if let Some(session) = session {
            found.sessions.push((session.try_into()?, ended_by));
        }
    }
    Ok(found)
}
