//! Ending sessions: by their users, by admins and by operators. Ending what has ended is no error and changes nothing.

use serde_json::{Value, json};

use super::authenticate::Principal;
use super::authority::Credentials;
use super::failure::Failure;
use super::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::session::{EndReason, SessionId};
use crate::domain::user::{User, UserId};
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::{sessions, users};

/// There is no such session or user, or it is not the asker's own.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// Nothing has this id.
    #[error("there is no such session or user")]
    NotFound,
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Ends the session that the caller's access token belongs to.
pub async fn logout(auth: &Auth, principal: &Principal, client: &Client) -> Result<(), Failure> {
    let (id, user, now, client) = (principal.session_id, principal.user.id, auth.now(), client.clone());
    auth.write_end(move |connection| {
        let end = sessions::End { at: now, reason: EndReason::Logout, by: Some(user), client: &client };
        if sessions::end(connection, id, &end)? {
            let event = Event::new(Kind::SessionEnded, now, By::User(user), &client).about(user).of_session(id);
            audit_events::record(connection, &event.with(because(end.reason)))?;
        }
        Ok(())
    })
    .await
}

/// Ends all sessions of the caller; gives how many.
pub async fn logout_all(auth: &Auth, principal: &Principal, client: &Client) -> Result<usize, Failure> {
    let (user, session, now, client) = (principal.user.id, principal.session_id, auth.now(), client.clone());
    auth.write_end(move |connection| {
        let end = sessions::End { at: now, reason: EndReason::LogoutAll, by: Some(user), client: &client };
        let ended = sessions::end_all(connection, user, &end)?;
        if ended > 0 {
            let event = Event::new(Kind::SessionsRevoked, now, By::User(user), &client).about(user).of_session(session);
            let detail = json!({ "reason": end.reason.as_str(), "sessionsEnded": ended });
            audit_events::record(connection, &event.with(detail))?;
        }
        Ok(ended)
    })
    .await
}

/// Ends one of the user's own sessions. Another's is not found.
pub async fn end_own_session(auth: &Auth, user: &User, id: SessionId, client: &Client) -> Result<(), EndError> {
    end(auth, id, Ender::Owner(user.id), client).await.map(|_| ())
}

/// Ends anybody's session; `false` when it had ended before.
pub async fn end_session(auth: &Auth, actor: Actor<'_>, id: SessionId, client: &Client) -> Result<bool, EndError> {
    end(auth, id, Ender::Permitted(actor.by(), actor.credentials()), client).await
}

/// Ends these sessions, whoever's they are; says how many had not ended before.
pub async fn end_these_sessions(
    auth: &Auth,
    actor: Actor<'_>,
    ids: Vec<SessionId>,
    client: &Client,
) -> Result<usize, EndError> {
    let (by, user_id, credentials) = (actor.by(), actor.user_id(), actor.credentials());
    let (now, client) = (auth.now(), client.clone());
    auth.write_end(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(Err(EndError::NoLongerPermitted));
        }
        let end = sessions::End { at: now, reason: EndReason::EndedByAdmin, by: user_id, client: &client };
        let ended = sessions::end_these(connection, &ids, &end)?;
        for (session, user) in &ended {
            let event = Event::new(Kind::SessionRevoked, now, by, &client).about(*user).of_session(*session);
            audit_events::record(connection, &event.with(because(end.reason)))?;
        }
        Ok(Ok(ended.len()))
    })
    .await?
}

/// Ends all sessions of a user, and says how many there were.
pub async fn end_sessions_of_user(
    auth: &Auth,
    actor: Actor<'_>,
    user: UserId,
    client: &Client,
) -> Result<usize, EndError> {
    let (by, user_id, credentials) = (actor.by(), actor.user_id(), actor.credentials());
    let (now, client) = (auth.now(), client.clone());
    auth.write_end(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(Err(EndError::NoLongerPermitted));
        }
        if users::find(connection, user)?.is_none() {
            return Ok(Err(EndError::NotFound));
        }
        let end = sessions::End { at: now, reason: EndReason::EndedByAdmin, by: user_id, client: &client };
        let ended = sessions::end_all(connection, user, &end)?;
        let event = Event::new(Kind::SessionsRevoked, now, by, &client).about(user);
        let detail = json!({ "reason": end.reason.as_str(), "sessionsEnded": ended });
        audit_events::record(connection, &event.with(detail))?;
        Ok(Ok(ended))
    })
    .await?
}

/// Who ends one session, and why they may.
enum Ender {
    /// Its user: what is theirs they may always end.
    Owner(UserId),
    /// An admin or an operator, as long as these hold.
    Permitted(By, Credentials),
}

async fn end(auth: &Auth, id: SessionId, ender: Ender, client: &Client) -> Result<bool, EndError> {
    let (now, client) = (auth.now(), client.clone());
    let (kind, reason, by) = match ender {
        Ender::Owner(user) => (Kind::SessionEnded, EndReason::EndedByUser, By::User(user)),
        Ender::Permitted(by, _) => (Kind::SessionRevoked, EndReason::EndedByAdmin, by),
    };
    auth.write_end(move |connection| {
        let session = match ender {
            Ender::Owner(owner) => sessions::find(connection, id)?.filter(|session| owner == session.user_id),
            Ender::Permitted(_, credentials) => {
                if !credentials.still_hold(connection)? {
                    return Ok(Err(EndError::NoLongerPermitted));
                }
                sessions::find(connection, id)?
            }
        };
        let Some(session) = session else { return Ok(Err(EndError::NotFound)) };
        let end = sessions::End { at: now, reason, by: by.user_id(), client: &client };
        let ended = sessions::end(connection, id, &end)?;
        if ended {
            let event = Event::new(kind, now, by, &client).about(session.user_id).of_session(id);
            audit_events::record(connection, &event.with(because(reason)))?;
        }
        Ok(Ok(ended))
    })
    .await?
}

pub(super) fn because(reason: EndReason) -> Value {
    json!({ "reason": reason.as_str() })
}
