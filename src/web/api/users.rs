//! `/api/users`: registration, and what admins see and change of accounts.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{self, RoleJson, UserJson};
use crate::auth::Actor;
use crate::auth::register::{NewAccount, register};
use crate::auth::update_user::{self, UserChanges};
use crate::auth::users::{self, StatusFilter, UserQuery};
use crate::domain::role::Role;
use crate::web::bearer::{AdminOr, AdminUser, AnyUser, Then, UsersRead};
use crate::web::client::ClientOf;
use crate::web::json::{Json, object_body};
use crate::web::problem::{Code, Problem};
use crate::web::query::{self, Query};
use crate::web::state::State;

/// An account to be made. Members that are not named here are ignored.
#[derive(Deserialize, ToSchema)]
pub struct Registration {
    #[schema(min_length = 1, max_length = 64)]
    username: String,
    #[schema(format = Email, max_length = 254)]
    email: String,
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
    role: Option<RoleJson>,
}

/// What is to be changed of an account.
#[derive(Deserialize, ToSchema)]
pub struct UserPatch {
    #[schema(format = Email, max_length = 254)]
    email: Option<String>,
    role: Option<RoleJson>,
    disabled: Option<bool>,
}

object_body!(Registration, UserPatch);

/// An account that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedUser)]
#[serde(rename_all = "camelCase")]
pub struct Created<'a> {
    id: i64,
    username: &'a str,
    email: &'a str,
    role: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
}

/// `POST /api/users/register`
pub async fn create_user(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Then(AnyUser(principal), Json(body)): Then<AnyUser, Json<Registration>>,
) -> Result<HttpResponse, Problem> {
    let actor = principal.as_ref().map_or(Actor::Anonymous, |principal| Actor::User(principal));
    let role = body.role.map_or(Role::User, |role| role.0);
    let account = NewAccount { username: &body.username, email: &body.email, password: &body.password, role };
    let user = register(&state.auth, actor, account, &client).await?;
    Ok(HttpResponse::Created().insert_header((header::LOCATION, format!("/api/users/{}", user.id))).json(Created {
        id: user.id.get(),
        username: user.username.as_str(),
        email: user.email.as_str(),
        role: user.role.as_str(),
        created_at: user.created_at.to_string(),
    }))
}

/// Which users are asked for, as it was written.
#[derive(Deserialize)]
pub struct ListParameters {
    search: Option<String>,
    role: Option<String>,
    status: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/users`
pub async fn list_users(
    state: Data<State>,
    _: AdminOr<UsersRead>,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    let limit = query::limit(parameters.limit.as_deref())?;
    let asked = UserQuery {
        search: parameters.search.clone(),
        role: parameters.role.as_deref().map(role).transpose()?,
        status: parameters.status.as_deref().map(status).transpose()?.unwrap_or_default(),
        cursor: parameters.cursor,
        limit,
    };
    let page = users::list_users(&state.auth, asked).await?;
    let kept = [
        ("search", parameters.search.as_deref()),
        ("role", parameters.role.as_deref()),
        ("status", parameters.status.as_deref()),
    ];
    wire::page(&state, &page, "/api/users", &kept, limit, UserJson::from)
}

/// `GET /api/users/{id}`
pub async fn show_user(state: Data<State>, _: AdminOr<UsersRead>, path: Path<String>) -> Result<HttpResponse, Problem> {
    let id = wire::user_id(&path)?;
    let user = users::find_user(&state.auth, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(UserJson::from(&user)))
}

/// `PATCH /api/users/{id}`
pub async fn update_user(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Then(AdminUser(admin), Json(body)): Then<AdminUser, Json<UserPatch>>,
) -> Result<HttpResponse, Problem> {
    let id = wire::user_id(&path)?;
    let changes = UserChanges {
        email: body.email.as_deref(),
        role: body.role.map(|role| role.0),
        disabled: body.disabled,
        if_role: None,
    };
    let user = update_user::update_user(&state.auth, Actor::User(&admin), id, changes, &client).await?;
    Ok(HttpResponse::Ok().json(UserJson::from(&user)))
}

/// `DELETE /api/users/{id}`
pub async fn delete_user(
    state: Data<State>,
    AdminUser(admin): AdminUser,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = wire::user_id(&path)?;
    update_user::delete_user(&state.auth, Actor::User(&admin), id, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn role(text: &str) -> Result<Role, Problem> {
    let number = text.parse().ok().and_then(Role::from_number);
    number.or_else(|| Role::parse(text)).ok_or_else(|| query::wrong("role", "must be Admin, User, 0 or 1"))
}

fn status(text: &str) -> Result<StatusFilter, Problem> {
    match text {
        "active" => Ok(StatusFilter::Active),
        "disabled" => Ok(StatusFilter::Disabled),
        "deleted" => Ok(StatusFilter::Deleted),
        _ => Err(query::wrong("status", "must be active, disabled or deleted")),
    }
}
