//! Looking at sessions.

use std::net::IpAddr;

use super::Auth;
use super::cursor::{self, Page};
use super::failure::Failure;
use super::users::ListError;
use crate::domain::session::{Generation, Session, SessionId};
use crate::domain::user::{User, UserId};
use crate::store::refresh_tokens;
pub use crate::store::refresh_tokens::{Issued, Repeats};
use crate::store::sessions::{self, SessionFilter};

/// Which sessions are asked for.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    /// Only this user's.
    pub user_id: Option<UserId>,
    /// Also those that have ended or expired.
    pub with_ended: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// A page of sessions, the newest first.
pub async fn list_sessions(auth: &Auth, query: SessionQuery) -> Result<Page<Session>, ListError> {
    let before = query.cursor.map(|cursor| cursor::decode(&auth.keyring, &cursor)).transpose()?;
    let filter =
        SessionFilter { user_id: query.user_id, live_at: if query.with_ended { None } else { Some(auth.now()) } };
    let limit = i64::from(query.limit) + 1;
    let rows = auth.read(move |connection| sessions::list(connection, filter, before, limit)).await?;
    Ok(Page::cut(&auth.keyring, rows, query.limit, |session| session.id))
}

/// Every live session of a user, the newest first. There are as many as `MAX_SESSIONS_PER_USER` allows.
pub async fn live_sessions_of(auth: &Auth, user: UserId) -> Result<Vec<Session>, Failure> {
    let filter = SessionFilter { user_id: Some(user), live_at: Some(auth.now()) };
    auth.read(move |connection| sessions::list(connection, filter, None, i64::MAX)).await
}

/// A session with its user and every rotation that is remembered, oldest first.
#[derive(Debug)]
pub struct SessionDetail {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// Its rotations.
    pub history: Vec<Issued>,
    /// From where it was ended, if it was and that was a request.
    pub ended_ip: Option<IpAddr>,
    /// The username of whoever ended it, if somebody did.
    pub ended_by: Option<String>,
    /// Which refresh token ended it, if one that had been replaced did, or one that is newer than the store.
    pub presented: Option<Generation>,
}

/// The session with this id, live or not.
pub async fn find_session(auth: &Auth, id: SessionId) -> Result<Option<SessionDetail>, Failure> {
    auth.read(move |connection| {
        let Some((session, user)) = sessions::find_with_user(connection, id)? else { return Ok(None) };
        let history = refresh_tokens::of_session(connection, id)?;
        let end = sessions::end_traces(connection, id)?;
        let presented = end.token.as_deref().and_then(presented);
        Ok(Some(SessionDetail { session, user, history, ended_ip: end.ip, ended_by: end.by, presented }))
    })
    .await
}

/// The generation of a token that an event tells of.
fn presented(detail: &str) -> Option<Generation> {
    let detail: serde_json::Value = serde_json::from_str(detail).ok()?;
    Generation::new(detail.get("presented")?.as_u64()?.try_into().ok()?)
}
