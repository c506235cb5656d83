//! The grant of a client for itself (RFC 6749 §4.4).

use std::time::Duration;

use serde_json::json;

use super::ClientAuthority;
use super::authenticate::AuthenticatedClient;
use crate::auth::failure::Failure;
use crate::auth::{Auth, entropy};
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::secret::Secret;
use crate::store::audit_events::{self, By, Event, Kind};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientGrantError {
    /// There is no such scope, or the client may not have it.
    #[error("the client may not have this scope")]
    Scope,
    /// The client was changed since it proved who it is.
    #[error("the client may no longer ask for this")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// An access token of a client.
#[derive(Debug)]
pub struct ClientAccess {
    /// The access token, a JWT.
    pub access_token: Secret<String>,
    /// How long it is valid from now on.
    pub expires_in: Duration,
    /// What it allows.
    pub scopes: Scopes,
}

/// Issues an access token for what the client asks for, or for all that it may do. There is no refresh token
/// (RFC 6749 §4.4.3): the client can ask again.
pub async fn issue_client_token(
    auth: &Auth,
    holder: &AuthenticatedClient,
    scope: Option<&str>,
    client: &Client,
) -> Result<ClientAccess, ClientGrantError> {
    let registered = &holder.client;
    let scopes = match scope {
        None => registered.scopes,
        Some(text) => Scopes::parse(text).ok_or(ClientGrantError::Scope)?,
    };
    if scopes.is_empty() || !registered.scopes.contains_all(scopes) {
        return Err(ClientGrantError::Scope);
    }
    let now = auth.now();
    let secret = (holder.secret.id, holder.secret.expires_at);
    let jti = entropy::uuid().map_err(Failure::from)?;
    let issued = auth.access_tokens.issue_for_client(registered, scopes, secret, jti, now).map_err(Failure::from)?;
    let (id, client, detail) = (registered.id, client.clone(), json!({ "scope": scopes.to_string() }));
    let authority = ClientAuthority::of_authenticated(holder);
    let noted = auth.write(move |connection| {
        if !authority.still_holds(connection)? {
            return Ok(false);
        }
        let event = Event::new(Kind::ClientTokenIssued, now, By::Client(id), &client);
        audit_events::record(connection, &event.with(detail.clone()))?;
        Ok(true)
    });
    if !noted.await? {
        return Err(ClientGrantError::NoLongerPermitted);
    }
    Ok(ClientAccess { access_token: issued.token, expires_in: issued.expires_in, scopes })
}
