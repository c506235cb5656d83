//! What a token is worth, for those who may ask (RFC 7662). Asking changes nothing.

use super::Auth;
use super::access_tokens::{Audience, FIRST_PARTY_CLIENT, RegisteredClaims, VerifiedAccessToken};
use super::authenticate::{self, AuthenticateError};
use super::clients;
use super::failure::Failure;
use super::refresh_tokens::{self, Genuine};
use crate::domain::registered_client::{ApiAudience, ClientId};
use crate::domain::rotation::{self, Verdict};
use crate::domain::scope::Scopes;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::keyring;
use crate::store::sessions;

/// A token that is worth something.
#[derive(Debug)]
pub struct ActiveToken {
    /// Who issued it.
    pub issuer: String,
    /// For whom it is.
    pub audience: Audience,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Whose it is, and of which sort.
    pub holder: Holder,
}

/// Whose a token is.
#[derive(Debug)]
pub enum Holder {
    /// A user's access token.
    User {
        /// The user as the store has it now.
        user: User,
        /// The username, unless tokens are to go without.
        username: Option<String>,
        /// The session.
        session: SessionId,
        /// From when on the token holds, and its own id.
        token: (Timestamp, String),
    },
    /// The current refresh token of a session.
    Refresh {
        /// The user as the store has it now.
        user: User,
        /// The username, unless tokens are to go without.
        username: Option<String>,
        /// The session.
        session: SessionId,
    },
    /// A registered client's own access token.
    Client {
        /// The client.
        id: ClientId,
        /// What the token allows.
        scopes: Scopes,
        /// From when on the token holds, and its own id.
        token: (Timestamp, String),
    },
}

/// What a token is worth now; `None` when nothing. Whoever asks on behalf of an audience learns nothing of tokens that
/// are not for it (RFC 7662 §2.2).
///
/// # Errors
/// When no answer could be found, which is not the answer that the token is worth nothing.
pub async fn introspect(auth: &Auth, token: &str, asker: Option<&ApiAudience>) -> Result<Option<ActiveToken>, Failure> {
    let found = match refresh_tokens::recognise(&auth.keyring, token) {
        Some(genuine) => introspect_refresh_token(auth, &genuine).await?,
        None => introspect_access_token(auth, token).await?,
    };
    Ok(found.filter(|found| asker.is_none_or(|asker| found.audience.contains(asker.as_str()))))
}

async fn introspect_access_token(auth: &Auth, token: &str) -> Result<Option<ActiveToken>, Failure> {
    let verified = match authenticate::verify(auth, token).await {
        Ok(verified) => verified,
        Err(AuthenticateError::Failed(failure)) => return Err(failure),
        Err(_) => return Ok(None),
    };
    match verified {
        VerifiedAccessToken::User(token) => match authenticate::recognise(auth, &token).await {
            Ok((principal, _)) => {
                let user = principal.user.clone();
                let holder = Holder::User {
                    username: username(auth, &user),
                    user,
                    session: token.session_id,
                    token: (token.registered.not_before, token.registered.jti.clone()),
                };
                Ok(Some(active(auth, token.registered, holder)))
            }
            Err(AuthenticateError::Failed(failure)) => Err(failure),
            Err(_) => Ok(None),
        },
        VerifiedAccessToken::Client(token) => {
            let Some(principal) = clients::recognise(auth, &token).await? else { return Ok(None) };
            let holder = Holder::Client {
                id: token.client_id,
                scopes: principal.scopes,
                token: (token.registered.not_before, token.registered.jti.clone()),
            };
            Ok(Some(active(auth, token.registered, holder)))
        }
    }
}

fn active(auth: &Auth, claims: RegisteredClaims, holder: Holder) -> ActiveToken {
    ActiveToken {
        issuer: auth.access_tokens.policy().issuer.clone(),
        audience: claims.audience,
        issued_at: claims.issued_at,
        expires_at: claims.expires_at,
        holder,
    }
}

/// A refresh token is worth something as long as it can be spent. One that has been replaced is not, even while its
/// successor would be given out again; and asking about it is no theft.
async fn introspect_refresh_token(auth: &Auth, token: &Genuine<'_>) -> Result<Option<ActiveToken>, Failure> {
    let (id, now) = (token.session_id(), auth.now());
    let found = auth.read(move |connection| sessions::find_with_user(connection, id)).await?;
    let found = found.filter(|(session, user)| {
        let rules = &auth.policy.rotation;
        keyring::equal(&session.nonce_digest, &token.nonce_digest())
            && matches!(
                rotation::judge(session, user, token.generation(), now, rules),
                Verdict::Rotate | Verdict::TooFrequent { .. }
            )
    });
    Ok(found.map(|(session, user)| ActiveToken {
        issuer: auth.access_tokens.policy().issuer.clone(),
        audience: Audience::one(&auth.access_tokens.policy().audience),
        issued_at: session.rotated_at,
        expires_at: session.idle_expires_at.min(session.expires_at),
        holder: Holder::Refresh { username: username(auth, &user), user, session: id },
    }))
}

fn username(auth: &Auth, user: &User) -> Option<String> {
    auth.access_tokens.policy().with_profile.then(|| user.username.as_str().to_owned())
}

impl ActiveToken {
    /// The client that the token was issued to (RFC 7662 §2.2).
    pub fn client_id(&self) -> String {
        match &self.holder {
            Holder::User { .. } | Holder::Refresh { .. } => FIRST_PARTY_CLIENT.to_owned(),
            Holder::Client { id, .. } => id.to_string(),
        }
    }
}
