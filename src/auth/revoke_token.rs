//! Revoking by token: its holder wants the session to end (RFC 7009 §2).

use serde_json::json;

use super::access_tokens::VerifiedAccessToken;
use super::authenticate::{self, AuthenticateError};
use super::clients::AuthenticatedClient;
use super::failure::Failure;
use super::{Auth, clients, refresh_tokens};
use crate::domain::client::Client;
use crate::domain::session::{EndReason, SessionId};
use crate::domain::user::UserId;
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::sessions::{self, End};

/// Ends the session of a genuine refresh token, whatever its generation and age. Anything else changes nothing and is no
/// error, so that nobody can find out what is a token (RFC 7009 §2.2).
///
/// # Errors
/// When the end could not be committed.
pub async fn revoke_token(auth: &Auth, token: &str, client: &Client) -> Result<(), Failure> {
    let Some(genuine) = refresh_tokens::recognise(&auth.keyring, token) else {
        return auth.spend_wrong_token(client);
    };
    let (session_id, nonce_digest) = (genuine.session_id(), genuine.nonce_digest());
    end(auth, session_id, client, move |connection, end| {
        sessions::end_with_nonce(connection, session_id, &nonce_digest, end)
    })
    .await
}

/// Why a token is not revoked that is worth something.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// It was issued to another client than the one that asks.
    #[error("the token was issued to another client")]
    OfAnotherClient,
    /// An access token that a client got for itself: it has no session to end, and expires soon.
    #[error("access tokens of clients cannot be revoked singly")]
    Unsupported,
    /// No answer could be found, or the end could not be committed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Revokes a token of any sort, without being told which. An access token ends its session like a refresh token does:
/// they live and die together.
pub async fn revoke_any_token(
    auth: &Auth,
    token: &str,
    asker: Option<&AuthenticatedClient>,
    client: &Client,
) -> Result<(), RevokeError> {
    // What users hold was issued to the first-party client, which is public and never proves who it is.
    let is_of_another = asker.is_some();
    if refresh_tokens::recognise(&auth.keyring, token).is_some() {
        if is_of_another {
            return Err(RevokeError::OfAnotherClient);
        }
        return Ok(revoke_token(auth, token, client).await?);
    }
    let verified = match authenticate::verify(auth, token).await {
        Ok(verified) => verified,
        Err(AuthenticateError::Failed(failure)) => return Err(failure.into()),
        // It was ours, and is worth nothing any more.
        Err(AuthenticateError::Expired) => return Ok(()),
        Err(_) => return Ok(auth.spend_wrong_token(client)?),
    };
    match verified {
        VerifiedAccessToken::User(_) if is_of_another => Err(RevokeError::OfAnotherClient),
        VerifiedAccessToken::User(token) => match authenticate::recognise(auth, &token).await {
            Ok(_) => {
                let id = token.session_id;
                let ended = end(auth, id, client, move |connection, end| {
                    Ok(sessions::end(connection, id, end)?.then_some(token.user_id))
                });
                Ok(ended.await?)
            }
            Err(AuthenticateError::Failed(failure)) => Err(failure.into()),
            Err(_) => Ok(()),
        },
        VerifiedAccessToken::Client(token) => match clients::recognise(auth, &token).await? {
            Some(_) if asker.is_some_and(|asker| asker.client.id != token.client_id) => {
                Err(RevokeError::OfAnotherClient)
            }
            Some(_) => Err(RevokeError::Unsupported),
            None => Ok(()),
        },
    }
}

/// Ends a session in a way that says whose it was, if this ended it.
async fn end(
    auth: &Auth,
    session: SessionId,
    client: &Client,
    how: impl Fn(&mut AnyConnection, &End<'_>) -> QueryResult<Option<UserId>> + Send + 'static,
) -> Result<(), Failure> {
    let (now, client) = (auth.now(), client.clone());
    auth.write_end(move |connection| {
        let end = End { at: now, reason: EndReason::TokenRevoked, by: None, client: &client };
        if let Some(user) = how(connection, &end)? {
            let event = Event::new(Kind::SessionRevoked, now, By::Anonymous, &client).about(user);
            let reason = json!({ "reason": EndReason::TokenRevoked.as_str() });
            audit_events::record(connection, &event.of_session(session).with(reason))?;
        }
        Ok(())
    })
    .await
}
