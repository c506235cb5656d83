//! `POST /oauth/introspect` (RFC 7662): for resource servers, and for admins.

use actix_web::web::Data;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::credentials::{Asker, Credentials};
use super::error::{OauthError, Refused};
use super::form::Parameters;
use crate::auth::access_tokens::Audience;
use crate::auth::introspect::{ActiveToken, Holder, introspect};
use crate::domain::client::Client;
use crate::domain::registered_client::ApiAudience;
use crate::domain::scope::Scope;
use crate::web::bearer::{AdminOr, Caller, Introspect, is_bearer};
use crate::web::client::ClientOf;
use crate::web::state::State;

/// What is told of a token that is worth something (RFC 7662 §2.2). Of any other, `active` alone is told.
#[derive(Serialize, ToSchema)]
#[schema(as = ActiveToken)]
pub struct ActiveJson<'a> {
    active: bool,
    iss: &'a str,
    #[schema(value_type = serde_json::Value)]
    #[schema(value_type = serde_json::Value)]
    aud: &'a Audience,
    sub: String,
    client_id: String,
    /// `Bearer`, or `refresh_token` for one that no API may take for an access token.
    token_type: &'static str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
}

/// What is told of any other.
#[derive(Serialize, ToSchema)]
#[schema(as = InactiveToken)]
pub struct InactiveJson {
    active: bool,
}

/// `POST /oauth/introspect`. `token_type_hint` is not looked at: tokens are told apart by themselves.
pub async fn introspect_token(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    parameters: Parameters,
) -> Result<HttpResponse, OauthError> {
    let audience = asker_audience(&request, &state, &parameters, &client).await?;
    let token = parameters.get("token").ok_or(Refused::InvalidRequest("Send token."))?;
    Ok(match introspect(&state.auth, token, audience.as_ref()).await? {
        Some(found) => super::ok().json(to_json(&found)),
        None => super::ok().json(InactiveJson { active: false }),
    })
}

/// Lets those pass who may ask; gives whose tokens they may ask about, if not about all.
async fn asker_audience(
    request: &HttpRequest,
    state: &Data<State>,
    parameters: &Parameters,
    client: &Client,
) -> Result<Option<ApiAudience>, OauthError> {
    if is_bearer(request) {
        return match AdminOr::<Introspect>::extract(request).await?.caller {
            Caller::Admin(_) => Ok(None),
            Caller::Client(principal) => Ok(principal.client.audience.clone()),
        };
    }
    match Credentials::of(request, parameters)?.check(state, client).await? {
        Asker::Registered(asker) if asker.client.scopes.contains(Scope::Introspect) => Ok(asker.client.audience),
        Asker::Registered(_) => Err(Refused::InsufficientScope.into()),
        Asker::FirstParty | Asker::Unproven => Err(Refused::InvalidClient.into()),
    }
}

fn to_json(found: &ActiveToken) -> ActiveJson<'_> {
    let common = ActiveJson {
        active: true,
        iss: &found.issuer,
        aud: &found.audience,
        sub: String::new(),
        client_id: found.client_id(),
        token_type: "Bearer",
        iat: found.issued_at.as_seconds(),
        exp: found.expires_at.as_seconds(),
        nbf: None,
        jti: None,
        sid: None,
        role: None,
        username: None,
        scope: None,
    };
    match &found.holder {
        Holder::User { user, username, session, token: (not_before, jti) } => ActiveJson {
            sub: user.id.to_string(),
            nbf: Some(not_before.as_seconds()),
            jti: Some(jti),
            sid: Some(session.to_string()),
            role: Some(user.role.as_str()),
            username: username.as_deref(),
            ..common
        },
        Holder::Refresh { user, username, session } => ActiveJson {
            sub: user.id.to_string(),
            token_type: "refresh_token",
            sid: Some(session.to_string()),
            role: Some(user.role.as_str()),
            username: username.as_deref(),
            ..common
        },
        Holder::Client { id, scopes, token: (not_before, jti) } => ActiveJson {
            sub: id.to_string(),
            nbf: Some(not_before.as_seconds()),
            jti: Some(jti),
            scope: Some(scopes.to_string()),
            ..common
        },
    }
}
