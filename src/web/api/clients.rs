//! `/api/clients`: what admins register, change and take away.

use std::net::IpAddr;

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, http::header};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};

use super::wire;
use crate::auth::Actor;
use crate::auth::clients::{self, ClientChanges, ManageError, NewClient, NewSecret, WithSecrets};
use crate::domain::registered_client::{ApiAudience, ClientId, ClientName, ClientSecret, SecretId};
use crate::domain::scope::{Scope, Scopes};
use crate::domain::timestamp::Timestamp;
use crate::web::bearer::{AdminUser, Then};
use crate::web::client::ClientOf;
use crate::web::json::{Json, object_body};
use crate::web::problem::{Code, FieldProblem, Problem};
use crate::web::query::{self, Query};
use crate::web::state::State;

/// A client to be registered.
#[derive(Deserialize, ToSchema)]
#[schema(as = ClientRegistration)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    #[schema(min_length = 1)]
    name: String,
    #[schema(schema_with = scope_names)]
    scopes: Vec<String>,
    #[schema(pattern = "^[!-~]{1,255}$")]
    audience: Option<String>,
    #[schema(format = DateTime)]
    secret_expires_at: Option<String>,
}

/// What is to be changed of a client. An audience of null is taken away.
#[derive(Deserialize, ToSchema)]
pub struct ClientPatch {
    #[schema(min_length = 1)]
    name: Option<String>,
    #[schema(schema_with = optional_scope_names)]
    scopes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, pattern = "^[!-~]{1,255}$")]
    audience: Option<Option<String>>,
    disabled: Option<bool>,
}

/// Until when another secret shall be good.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRequest {
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

object_body!(Registration, ClientPatch, SecretRequest);

/// An array of scopes.
fn scope_names() -> ArrayBuilder {
    let names = Scope::ALL.map(Scope::as_str);
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)))
}

/// An array of scopes, or null.
fn optional_scope_names() -> ArrayBuilder {
    scope_names().schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
}

/// A member that is there, be it null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A client. There is no secret in it, and nothing that one could be made of.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
#[serde(rename_all = "camelCase")]
pub struct ClientJson<'a> {
    id: String,
    name: &'a str,
    audience: Option<&'a str>,
    scopes: Vec<&'static str>,
    status: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    created_by: Option<i64>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    #[schema(value_type = Option<String>)]
    last_used_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    disabled_at: Option<String>,
    secrets: Vec<SecretJson<'a>>,
    /// The first secret, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_secret: Option<&'a str>,
}

/// A secret of a client, which is told only once.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientSecret)]
#[serde(rename_all = "camelCase")]
pub struct SecretJson<'a> {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// The secret itself, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_secret: Option<&'a str>,
}

impl<'a> ClientJson<'a> {
    fn new(WithSecrets { client, secrets }: &'a WithSecrets) -> Self {
        Self {
            id: client.id.to_string(),
            name: client.name.as_str(),
            audience: client.audience.as_ref().map(ApiAudience::as_str),
            scopes: client.scopes.iter().map(Scope::as_str).collect(),
            status: if client.is_active() { "active" } else { "disabled" },
            created_at: client.created_at.to_string(),
            created_by: client.created_by.map(|user| user.get()),
            last_used_at: text(client.last_used_at),
            last_used_ip: client.last_used_ip,
            disabled_at: text(client.disabled_at),
            secrets: secrets.iter().map(SecretJson::new).collect(),
            client_secret: None,
        }
    }
}

impl<'a> SecretJson<'a> {
    fn new(secret: &'a ClientSecret) -> Self {
        Self {
            id: secret.id.to_string(),
            created_at: secret.created_at.to_string(),
            expires_at: text(secret.expires_at),
            last_used_at: text(secret.last_used_at),
            client_secret: None,
        }
    }

    fn once(secret: &'a NewSecret) -> Self {
        Self { client_secret: Some(secret.value.expose()), ..Self::new(&secret.facts) }
    }
}

/// Which clients are asked for, as it was written.
#[derive(Deserialize)]
pub struct ListParameters {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/clients`
pub async fn list_clients(
    state: Data<State>,
    _: AdminUser,
    Query(parameters): Query<ListParameters>,
) -> Result<HttpResponse, Problem> {
    let limit = query::limit(parameters.limit.as_deref())?;
    let page = clients::list_clients(&state.auth, parameters.cursor.as_deref(), limit).await?;
    wire::page(&state, &page, "/api/clients", &[], limit, ClientJson::new)
}

/// `POST /api/clients`
pub async fn create_client(
    state: Data<State>,
    ClientOf(client): ClientOf,
    Then(AdminUser(admin), Json(body)): Then<AdminUser, Json<Registration>>,
) -> Result<HttpResponse, Problem> {
    let new = NewClient {
        name: name(&body.name)?,
        audience: body.audience.as_deref().map(audience).transpose()?,
        scopes: scopes(&body.scopes)?,
        secret_expires_at: body.secret_expires_at.as_deref().map(|at| time("secretExpiresAt", at)).transpose()?,
    };
    let made = clients::create_client(&state.auth, Actor::User(&admin), new, &client).await;
    let (made, secret) = made.map_err(|error| match error {
        ManageError::ExpiryInThePast => wrong("secretExpiresAt", error),
        error => error.into(),
    })?;
    let location = format!("/api/clients/{}", made.client.id);
    let json = ClientJson { client_secret: Some(secret.value.expose()), ..ClientJson::new(&made) };
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(json))
}

/// `GET /api/clients/{id}`
pub async fn show_client(state: Data<State>, _: AdminUser, path: Path<String>) -> Result<HttpResponse, Problem> {
    let found = clients::find_client(&state.auth, client_id(&path)?).await?;
    Ok(HttpResponse::Ok().json(ClientJson::new(&found.ok_or_else(|| Problem::new(Code::NotFound))?)))
}

/// `PATCH /api/clients/{id}`
pub async fn update_client(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Then(AdminUser(admin), Json(body)): Then<AdminUser, Json<ClientPatch>>,
) -> Result<HttpResponse, Problem> {
    let id = client_id(&path)?;
    let changes = ClientChanges {
        name: body.name.as_deref().map(name).transpose()?,
        audience: body.audience.map(|text| text.as_deref().map(audience).transpose()).transpose()?,
        scopes: body.scopes.as_deref().map(scopes).transpose()?,
        disabled: body.disabled,
    };
    let changed = clients::update_client(&state.auth, Actor::User(&admin), id, changes, &client).await?;
    Ok(HttpResponse::Ok().json(ClientJson::new(&changed)))
}

/// `DELETE /api/clients/{id}`
pub async fn delete_client(
    state: Data<State>,
    AdminUser(admin): AdminUser,
    ClientOf(client): ClientOf,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    clients::delete_client(&state.auth, Actor::User(&admin), client_id(&path)?, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/clients/{id}/secrets`
pub async fn create_secret(
    state: Data<State>,
    ClientOf(client): ClientOf,
    path: Path<String>,
    Then(AdminUser(admin), Json(body)): Then<AdminUser, Json<SecretRequest>>,
) -> Result<HttpResponse, Problem> {
    let id = client_id(&path)?;
    let expires_at = body.expires_at.as_deref().map(|at| time("expiresAt", at)).transpose()?;
    let secret = clients::add_secret(&state.auth, Actor::User(&admin), id, expires_at, &client).await?;
    Ok(HttpResponse::Created().json(SecretJson::once(&secret)))
}

/// `DELETE /api/clients/{id}/secrets/{sid}`
pub async fn delete_secret(
    state: Data<State>,
    AdminUser(admin): AdminUser,
    ClientOf(client): ClientOf,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let id = client_id(&path.0)?;
    let secret = SecretId::parse(&path.1).ok_or_else(|| Problem::new(Code::NotFound))?;
    clients::revoke_secret(&state.auth, Actor::User(&admin), id, secret, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The client that a path names. What cannot be an id names nobody.
fn client_id(path: &str) -> Result<ClientId, Problem> {
    ClientId::parse(path).ok_or_else(|| Problem::new(Code::NotFound))
}

fn wrong(name: &str, detail: impl std::fmt::Display) -> Problem {
    Problem::fields(Code::ValidationFailed, vec![FieldProblem::member(name, detail)])
}

fn name(text: &str) -> Result<ClientName, Problem> {
    ClientName::parse(text).map_err(|error| wrong("name", error))
}

fn audience(text: &str) -> Result<ApiAudience, Problem> {
    ApiAudience::parse(text).map_err(|error| wrong("audience", error))
}

fn scopes(names: &[String]) -> Result<Scopes, Problem> {
    let scopes: Option<Scopes> = names.iter().map(|name| Scope::parse(name)).collect();
    scopes.ok_or_else(|| {
        let known: Scopes = Scope::ALL.into_iter().collect();
        wrong("scopes", format_args!("must be some of {}", known.to_string().replace(' ', ", ")))
    })
}

fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| wrong(name, "must be a time of RFC 3339"))
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
