//! Revoking by refresh token: its holder wants the session to end (RFC 7009 §2).

use serde_json::json;

use super::failure::Failure;
use super::{Auth, refresh_tokens};
use crate::domain::client::Client;
use crate::domain::session::EndReason;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::sessions;

/// Ends the session of a genuine token, whatever its generation and age. Anything else changes nothing and is no error,
/// so that nobody can find out what is a token (RFC 7009 §2.2).
///
/// # Errors
/// When the end could not be committed.
pub async fn revoke_token(auth: &Auth, token: &str, client: &Client) -> Result<(), Failure> {
    let Some(genuine) = refresh_tokens::recognise(&auth.keyring, token) else { return Ok(()) };
    let (session_id, nonce_digest) = (genuine.session_id(), genuine.nonce_digest());
    let (now, client) = (auth.now(), client.clone());
    auth.write_end(move |connection| {
        let end = sessions::End { at: now, reason: EndReason::TokenRevoked, by: None, client: &client };
        if let Some(user) = sessions::end_with_nonce(connection, session_id, &nonce_digest, &end)? {
            let event = Event::new(Kind::SessionRevoked, now, By::Anonymous, &client).about(user);
            let reason = json!({ "reason": EndReason::TokenRevoked.as_str() });
            audit_events::record(connection, &event.of_session(session_id).with(reason))?;
        }
        Ok(())
    })
    .await
}
