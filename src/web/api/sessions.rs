//! `/api/sessions` and `/api/users/{id}/sessions`: what admins, and clients with a scope, see and end.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{self, RoleJson, SessionDetailJson, SessionJson};
use crate::auth::bulk_revocation::{self, BulkFilter};
use crate::auth::end_session;
use crate::auth::sessions::{self, SessionQuery};
use crate::auth::users::find_user;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::web::bearer::{AdminOr, Caller, SessionsRead, SessionsRevoke, Then, UsersRead};
use crate::web::client::ClientOf;
use crate::web::deadline::Deadline;
use crate::web::json::{Json, object_body};
use crate::web::problem::{Code, FieldProblem, Problem};
use crate::web::query::{self, Query};
use crate::web::state::State;
use crate::web::unwaited::to_the_end;

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
    AdminOr { caller, .. }: AdminOr<SessionsRead>,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    list(&state, &caller, None, parameters, "/api/sessions").await
}

/// `GET /api/users/{id}/sessions`
pub async fn list_sessions_of_user(
    state: Data<State>,
    AdminOr { caller, .. }: AdminOr<UsersRead>,
    path: Path<String>,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    let user = wire::user_id(&path)?;
    if find_user(&state.auth, user).await?.is_none() {
        return Err(Problem::new(Code::NotFound));
    }
    list(&state, &caller, Some(user), parameters, &format!("/api/users/{user}/sessions")).await
}

/// `DELETE /api/users/{id}/sessions`
pub async fn end_sessions_of_user(
    state: Data<State>,
    AdminOr { caller, .. }: AdminOr<SessionsRevoke>,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::user_id(&path)?;
    end_session::end_sessions_of_user(&state.auth, caller.actor(), id, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Which sessions to end, as it was written.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkRevocation {
    pub(in crate::web) filter: FilterJson,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SessionFilter)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::web) struct FilterJson {
    user_id: Option<i64>,
    role: Option<RoleJson>,
    ip: Option<String>,
    user_agent: Option<String>,
    #[schema(format = DateTime)]
    last_used_before: Option<String>,
    #[schema(format = DateTime)]
    created_before: Option<String>,
    all: Option<bool>,
}

/// How many sessions there were, how many were ended, and when the last of their access tokens will have expired.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkRevoked {
    matched: u64,
    revoked: u64,
    #[schema(format = DateTime)]
    effective_by: String,
}

object_body!(BulkRevocation);

impl FilterJson {
    /// A filter that says nothing would end everything: that must be said. A misspelt part is refused for the same
    /// reason.
    pub(in crate::web) fn parse(self) -> Result<BulkFilter, Problem> {
        let wrong = |name: &str, detail: &str| {
            Problem::fields(Code::ValidationFailed, vec![FieldProblem::member(&format!("filter/{name}"), detail)])
        };
        let time = |name: &str, text: Option<String>| match text {
            Some(text) => Timestamp::parse(&text).map(Some).ok_or_else(|| wrong(name, "must be a time of RFC 3339")),
            None => Ok(None),
        };
        let network = |text: String| {
            let address = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from).ok();
            text.parse().ok().or_else(address).ok_or_else(|| wrong("ip", "must be an address or a CIDR"))
        };
        let user = |id| UserId::new(id).ok_or_else(|| wrong("userId", "must be a user's id"));
        let says_nothing = self.user_id.is_none()
            && self.role.is_none()
            && self.ip.is_none()
            && self.user_agent.as_deref().is_none_or(str::is_empty)
            && self.last_used_before.is_none()
            && self.created_before.is_none();
        if says_nothing && self.all != Some(true) {
            return Err(wrong("all", "must be true when nothing else is given, to end every session"));
        }
        if self.user_agent.as_deref().is_some_and(|part| part.contains('\0')) {
            return Err(wrong("userAgent", "must not have a NUL in it"));
        }
        Ok(BulkFilter {
            user_id: self.user_id.map(user).transpose()?,
            role: self.role.map(|role| role.0),
            network: self.ip.map(network).transpose()?,
            user_agent: self.user_agent.filter(|part| !part.is_empty()),
            last_used_before: time("lastUsedBefore", self.last_used_before)?,
            created_before: time("createdBefore", self.created_before)?,
            ..BulkFilter::default()
        })
    }
}

/// `POST /api/sessions/revoke`
pub async fn revoke_sessions(
    request: HttpRequest,
    state: Data<State>,
    ClientOf(client): ClientOf,
    Then(AdminOr { caller, .. }, Json(body)): Then<AdminOr<SessionsRevoke>, Json<BulkRevocation>>,
) -> Result<HttpResponse, Problem> {
    let filter = body.filter.parse()?;
    Deadline::lift(&request);
    let done = to_the_end(async move {
        bulk_revocation::revoke_sessions(&state.auth, caller.actor(), filter, body.dry_run, &client).await
    })
    .await??;
    let effective_by = done.effective_by.to_string();
    Ok(HttpResponse::Ok().json(BulkRevoked { matched: done.matched, revoked: done.revoked, effective_by }))
}

/// `GET /api/sessions/{sid}`
pub async fn show_session(
    state: Data<State>,
    AdminOr { caller, .. }: AdminOr<SessionsRead>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::session_id(&path)?;
    let detail = sessions::find_session(&state.auth, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(SessionDetailJson::new(&detail, state.auth.now(), caller.session_id())))
}

/// `DELETE /api/sessions/{sid}`
pub async fn end_session(
    state: Data<State>,
    AdminOr { caller, .. }: AdminOr<SessionsRevoke>,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::session_id(&path)?;
    end_session::end_session(&state.auth, caller.actor(), id, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn list(
    state: &State,
    caller: &Caller,
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
    wire::page(state, &page, path, &kept, limit, |session| SessionJson::new(session, now, caller.session_id()))
}
