//! `/api/users/profile`, `/password` and `/me/*`: what users see and change of their own.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::{self, SessionJson, UserJson};
use crate::auth::sessions::live_sessions_of;
use crate::auth::{change_password, end_session};
use crate::web::bearer::{AuthenticatedUser, Then};
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::json::{Json, object_body};
use crate::web::problem::Problem;
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

/// The password as it is and as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordChange {
    current_password: String,
    #[schema(min_length = 8, max_length = 1024)]
    new_password: String,
}

object_body!(PasswordChange);

/// `GET` and `POST /api/users/profile`
pub async fn show_profile(AuthenticatedUser(principal): AuthenticatedUser) -> HttpResponse {
    HttpResponse::Ok().json(UserJson::from(&principal.user))
}

/// `POST /api/users/password`
pub async fn change_password(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    Then(AuthenticatedUser(principal), Json(body)): Then<AuthenticatedUser, Json<PasswordChange>>,
) -> Result<HttpResponse, Problem> {
    // Whoever is told to ask again would do so with a password that is theirs no more.
    Deadline::lift(&request);
    let pair = to_the_end(async move {
        let (current, new) = (&body.current_password, &body.new_password);
        change_password::change_password(&state.auth, &principal.user, current, new, &client).await
    })
    .await??;
    Ok(wire::pair(&pair))
}

/// `GET /api/users/me/sessions`
pub async fn list_own_sessions(
    state: Data<State>,
    AuthenticatedUser(principal): AuthenticatedUser,
) -> Result<HttpResponse, Problem> {
    let sessions = live_sessions_of(&state.auth, principal.user.id).await?;
    let now = state.auth.now();
    let to_json = |session| SessionJson::new(session, now, Some(principal.session_id));
    Ok(HttpResponse::Ok().json(sessions.iter().map(to_json).collect::<Vec<_>>()))
}

/// `DELETE /api/users/me/sessions/{sid}`
pub async fn end_own_session(
    state: Data<State>,
    AuthenticatedUser(principal): AuthenticatedUser,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::session_id(&path)?;
    end_session::end_own_session(&state.auth, &principal.user, id, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}
