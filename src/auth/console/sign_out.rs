//! Ending a session of the console.

use serde_json::json;

use super::ConsoleUser;
use crate::auth::Auth;
use crate::auth::end_session::{because, logout};
use crate::auth::failure::Failure;
use crate::domain::client::Client;
use crate::domain::session::EndReason;
use crate::keyring;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::{console_sessions, sessions};

/// Signs out: the cookie, and every copy of it, is worth nothing from now on.
pub async fn sign_out(auth: &Auth, user: &ConsoleUser, client: &Client) -> Result<(), Failure> {
    logout(auth, &user.principal, client).await
}

/// Ends the session of a key that is given up for another, unless it has ended.
pub async fn end_by_key(auth: &Auth, key: &str, client: &Client) -> Result<(), Failure> {
    let (digest, now, client) = (keyring::sha256(key.as_bytes()), auth.now(), client.clone());
    auth.write_end(move |connection| {
        let Some((id, _)) = console_sessions::open(connection, &digest)? else { return Ok(()) };
        let end = sessions::End { at: now, reason: EndReason::Logout, by: None, client: &client };
        let Some(user) = sessions::find(connection, id)?.map(|session| session.user_id) else { return Ok(()) };
        if sessions::end(connection, id, &end)? {
            let event = Event::new(Kind::SessionEnded, now, By::User(user), &client).about(user).of_session(id);
            audit_events::record(connection, &event.with(because(end.reason)))?;
        }
        Ok(())
    })
    .await
}

/// Ends every other session of whoever is signed in, with tokens or with a cookie; says how many.
pub async fn end_others(auth: &Auth, user: &ConsoleUser, client: &Client) -> Result<usize, Failure> {
    let (id, this, now, client) = (user.principal.user.id, user.session.id, auth.now(), client.clone());
    auth.write_end(move |connection| {
        let end = sessions::End { at: now, reason: EndReason::EndedByUser, by: Some(id), client: &client };
        let ended = sessions::end_others(connection, id, this, &end)?;
        if ended > 0 {
            let event = Event::new(Kind::SessionsRevoked, now, By::User(id), &client).about(id).of_session(this);
            let detail = json!({ "reason": end.reason.as_str(), "sessionsEnded": ended });
            audit_events::record(connection, &event.with(detail))?;
        }
        Ok(ended)
    })
    .await
}
