//! Recognising the holder of an access token.
//!
//! What the token's signature proves is checked first; then its session and user are read, so that a forged `sid` under
//! a shared key gains nothing. What was found is remembered until anything about the user changes, so that an ended
//! session or a changed account refuses the very next request here, and within a second elsewhere (ASVS 5.0 §7.4.1).

use std::sync::Arc;

use super::Auth;
use super::access_tokens::{AccessTokenError, UserToken, VerifiedAccessToken};
use super::clients::{self, ClientPrincipal};
use super::failure::Failure;
use super::signing_keys;
use crate::domain::session::{SessionId, SessionKind};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::keyring;
use crate::store::sessions;

/// Who holds a valid access token.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The user as the store has it now. Its role decides, not the token's.
    pub user: User,
    /// The session that the token belongs to.
    pub session_id: SessionId,
}

/// Who holds a valid access token of either sort.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A user.
    User(Arc<Principal>),
    /// A registered client.
    Client(Arc<ClientPrincipal>),
}

/// Why an access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// It is not a token of this server, or what it stands for has changed.
    #[error("the access token is not valid")]
    Invalid,
    /// Its session has ended or expired.
    #[error("the session has ended")]
    Ended(SessionId),
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Recognises the holder of an access token.
pub async fn authenticate(auth: &Auth, token: &str) -> Result<Bearer, AuthenticateError> {
    let digest = keyring::sha256(token.as_bytes());
    if let Some(principal) = auth.memory.recall(&digest, auth.now()) {
        return Ok(Bearer::User(principal));
    }
    let version = auth.memory.version();
    match verify(auth, token).await? {
        VerifiedAccessToken::User(token) => {
            let (principal, session_ends_at) = recognise(auth, &token).await?;
            let valid = token.usable_from..token.expires_at.min(session_ends_at);
            auth.memory.remember(digest, Arc::clone(&principal), valid, version);
            Ok(Bearer::User(principal))
        }
        VerifiedAccessToken::Client(token) => {
            let found = clients::recognise(auth, &token).await?;
            Ok(Bearer::Client(Arc::new(found.ok_or(AuthenticateError::Invalid)?)))
        }
    }
}

/// The user of a verified token, as long as the session and the user's rights stand; and when the session ends unused.
pub(super) async fn recognise(
    auth: &Auth,
    token: &UserToken,
) -> Result<(Arc<Principal>, Timestamp), AuthenticateError> {
    let session_id = token.session_id;
    let found = auth.read(move |connection| sessions::find_with_user(connection, session_id)).await?;
    let now = auth.now();
    let (session, user) = found
        .filter(|(session, user)| session.kind == SessionKind::Api && user.id == token.user_id)
        .ok_or(AuthenticateError::Invalid)?;
    if !session.is_live(now) {
        return Err(AuthenticateError::Ended(session_id));
    }
    if !user.is_active() || user.security_version != token.security_version {
        return Err(AuthenticateError::Invalid);
    }
    Ok((Arc::new(Principal { user, session_id }), session.idle_expires_at.min(session.expires_at)))
}

/// Verifies everything about a token that needs no database.
pub(super) async fn verify(auth: &Auth, token: &str) -> Result<VerifiedAccessToken, AuthenticateError> {
    let verified = match auth.access_tokens.verify(token, auth.now()) {
        Err(AccessTokenError::UnknownKey) => {
            // Another instance may have begun to sign with a new key.
            signing_keys::reload(auth).await?;
            auth.access_tokens.verify(token, auth.now())
        }
        result => result,
    };
    verified.map_err(|error| match error {
        AccessTokenError::Expired => AuthenticateError::Expired,
        AccessTokenError::Invalid | AccessTokenError::UnknownKey => AuthenticateError::Invalid,
    })
}
