//! `/api/auth/*`: signing in, refreshing, revoking and signing out.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::wire;
use crate::auth::end_session::{logout, logout_all};
use crate::auth::login::login;
use crate::auth::refresh::refresh;
use crate::auth::revoke_token;
#[cfg(any(test, feature = "fuzzing"))]
use crate::keyring;
use crate::web::bearer::AuthenticatedUser;
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::json::{self, Json, JsonBody, object_body};
use crate::web::problem::Problem;
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

/// A username or an e-mail address, and the password.
#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    username: String,
    #[schema(max_length = 1024)]
    password: String,
}

/// A refresh token: as a JSON string, or as the member `refreshToken` of an object.
pub struct RefreshToken(String);

#[cfg(any(test, feature = "fuzzing"))]
impl RefreshToken {
    /// Whether this is the token.
    pub(in crate::web) fn is(&self, token: &str) -> bool {
        keyring::equal(self.0.as_bytes(), token.as_bytes())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefreshTokenObject {
    refresh_token: String,
}

object_body!(Credentials);

impl PartialSchema for RefreshToken {
    fn schema() -> RefOr<Schema> {
        let string = || ObjectBuilder::new().schema_type(Type::String);
        let object = ObjectBuilder::new().property("refreshToken", string()).required("refreshToken");
        AnyOfBuilder::new().item(string()).item(object).into()
    }
}

impl ToSchema for RefreshToken {}

impl JsonBody for RefreshToken {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        match json::first_byte(body) {
            Some(b'"') => json::value(body).map(Self),
            _ => json::object(body).map(|object: RefreshTokenObject| Self(object.refresh_token)),
        }
    }
}

/// `POST /api/auth/login`
pub async fn create_session(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Json(body): Json<Credentials>,
) -> Result<HttpResponse, Problem> {
    let pair = to_the_end(async move { login(&state.auth, &body.username, &body.password, &client).await }).await??;
    Ok(wire::pair(&pair))
}

/// `POST /api/auth/refresh-token`
pub async fn refresh_session(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    Json(token): Json<RefreshToken>,
) -> Result<HttpResponse, Problem> {
    if !state.auth.retries_are_harmless() {
        // Whoever is told to ask again would end their own session.
        Deadline::lift(&request);
    }
    let pair = Box::pin(refresh(&state.auth, &token.0, &client)).await?;
    Ok(wire::pair(&pair))
}

/// `POST /api/auth/revoke-token`
pub async fn revoke_token(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Json(token): Json<RefreshToken>,
) -> Result<HttpResponse, Problem> {
    revoke_token::revoke_token(&state.auth, &token.0, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/auth/logout`
pub async fn end_current_session(
    state: Data<State>,
    AuthenticatedUser(principal): AuthenticatedUser,
    ClientOf(client): ClientOf,
) -> Result<HttpResponse, Problem> {
    logout(&state.auth, &principal, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/auth/logout-all`
pub async fn end_own_sessions(
    state: Data<State>,
    AuthenticatedUser(principal): AuthenticatedUser,
    ClientOf(client): ClientOf,
) -> Result<HttpResponse, Problem> {
    logout_all(&state.auth, &principal, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}
