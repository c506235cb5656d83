//! `POST /oauth/revoke` (RFC 7009).

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::credentials::{Asker, Credentials};
use super::error::{OauthError, Refused};
use super::form::Parameters;
use crate::auth::revoke_token::revoke_any_token;
use crate::web::client::ClientOf;
use crate::web::state::State;

/// `POST /oauth/revoke`. `token_type_hint` is not looked at: tokens are told apart by themselves.
pub async fn revoke_token(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    parameters: Parameters,
) -> Result<HttpResponse, OauthError> {
    let asker = match Credentials::of(&request, &parameters)?.check(&state, &client).await? {
        Asker::FirstParty => None,
        Asker::Registered(asker) => Some(*asker),
        Asker::Unproven => return Err(Refused::InvalidClient.into()),
    };
    let token = parameters.get("token").ok_or(Refused::InvalidRequest("Send token."))?;
    revoke_any_token(&state.auth, token, asker.as_ref(), &client).await?;
    Ok(super::ok().finish())
}
