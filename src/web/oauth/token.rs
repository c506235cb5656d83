//! `POST /oauth/token` (RFC 6749 §3.2).

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::credentials::{Asker, Credentials};
use super::error::{OauthError, Refused};
use super::form::Parameters;
use crate::auth::clients::issue_client_token;
use crate::auth::refresh::refresh;
use crate::domain::client::Client;
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::state::State;

/// A successful answer (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
#[schema(as = OauthToken)]
pub struct TokenJson<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<&'a str>,
    /// Ours: when to refresh, spread over the clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
}

/// `POST /oauth/token`
pub async fn create_token(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    parameters: Parameters,
) -> Result<HttpResponse, OauthError> {
    let credentials = Credentials::of(&request, &parameters)?;
    match parameters.get("grant_type") {
        None => Err(Refused::InvalidRequest("Send grant_type.").into()),
        Some("refresh_token") => {
            let asker = credentials.check(&state, &client).await?;
            if !state.auth.retries_are_harmless() {
                // Whoever is told to ask again would end their own session.
                Deadline::lift(&request);
            }
            refresh_session(&state, asker, &parameters, &client).await
        }
        Some("client_credentials") => {
            let asker = credentials.check(&state, &client).await?;
            issue_to_client(&state, asker, &parameters, &client).await
        }
        Some(_) => Err(Refused::UnsupportedGrantType.into()),
    }
}

async fn refresh_session(
    state: &State,
    asker: Asker,
    parameters: &Parameters,
    client: &Client,
) -> Result<HttpResponse, OauthError> {
    let token = parameters.get("refresh_token").ok_or(Refused::InvalidRequest("Send refresh_token."))?;
    // Every refresh token was issued to the first-party client; that another one knows it ends nothing.
    let Asker::FirstParty = asker else { return Err(Refused::InvalidGrant.into()) };
    // Users' tokens have no scope, so that every other than none is more than was granted.
    if parameters.get("scope").is_some() {
        return Err(Refused::InvalidScope.into());
    }
    let pair = refresh(&state.auth, token, client).await?;
    Ok(super::ok().json(TokenJson {
        access_token: pair.access_token.expose(),
        token_type: "Bearer",
        expires_in: pair.expires_in.as_secs(),
        refresh_token: Some(pair.refresh_token.expose()),
        refresh_after: Some(pair.refresh_after.as_secs()),
        scope: None,
    }))
}

async fn issue_to_client(
    state: &State,
    asker: Asker,
    parameters: &Parameters,
    client: &Client,
) -> Result<HttpResponse, OauthError> {
    let Asker::Registered(holder) = asker else { return Err(Refused::InvalidClient.into()) };
    let issued = issue_client_token(&state.auth, &holder, parameters.get("scope"), client).await?;
    Ok(super::ok().json(TokenJson {
        access_token: issued.access_token.expose(),
        token_type: "Bearer",
        expires_in: issued.expires_in.as_secs(),
        refresh_token: None,
        refresh_after: None,
        scope: Some(issued.scopes.to_string()),
    }))
}
