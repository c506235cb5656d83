//! `/api/sessions` and `/api/users/{id}/sessions`: what admins see and end.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;

use super::wire::{self, SessionDetailJson, SessionJson};
use crate::auth::sessions::{self, SessionQuery};
use crate::auth::{Actor, end_session};
use crate::domain::user::UserId;
use crate::web::bearer::AdminUser;
use crate::web::client::ClientOf;
use crate::web::problem::{Code, Problem};
use crate::web::query::{self, Query};
use crate::web::state::State;

/// Which sessions are asked for, as it was written.
#[derive(Deserialize)]
pub struct ListParameters {
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/sessions`
pub async fn list_sessions(
    state: Data<State>,
    admin: AdminUser,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    list(&state, &admin, None, parameters, "/api/sessions").await
}

/// `GET /api/users/{id}/sessions`
pub async fn list_sessions_of_user(
    state: Data<State>,
    admin: AdminUser,
    path: Path<String>,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    let user = wire::user_id(&path)?;
    if !sessions::user_exists(&state.auth, user).await? {
        return Err(Problem::new(Code::NotFound));
    }
    list(&state, &admin, Some(user), parameters, &format!("/api/users/{user}/sessions")).await
}

/// `DELETE /api/users/{id}/sessions`
pub async fn end_sessions_of_user(
    state: Data<State>,
    AdminUser(admin): AdminUser,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::user_id(&path)?;
    end_session::end_sessions_of_user(&state.auth, Actor::User(&admin.user), id, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /api/sessions/{sid}`
pub async fn show_session(
    state: Data<State>,
    AdminUser(admin): AdminUser,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::session_id(&path)?;
    let detail = sessions::find_session(&state.auth, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(SessionDetailJson::new(&detail, state.auth.now(), admin.session_id)))
}

/// `DELETE /api/sessions/{sid}`
pub async fn end_session(
    state: Data<State>,
    AdminUser(admin): AdminUser,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::session_id(&path)?;
    end_session::end_session(&state.auth, Actor::User(&admin.user), id, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn list(
    state: &State,
    AdminUser(admin): &AdminUser,
    user_id: Option<UserId>,
    parameters: ListParameters,
    path: &str,
) -> Result<HttpResponse, Problem> {
    let with_ended = match parameters.state.as_deref() {
        None | Some("live") => false,
        Some("all") => true,
        Some(_) => return Err(query::wrong("state", "must be live or all")),
    };
    let limit = query::limit(parameters.limit.as_deref())?;
    let asked = SessionQuery { user_id, with_ended, cursor: parameters.cursor, limit };
    let page = sessions::list_sessions(&state.auth, asked).await?;
    let now = state.auth.now();
    let kept = [("state", parameters.state.as_deref())];
    wire::page(state, &page, path, &kept, limit, |session| SessionJson::new(session, now, admin.session_id))
}
