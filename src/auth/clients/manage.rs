//! Registering, changing and deleting clients, by admins and operators.

use serde_json::json;

use super::secrets::{NewSecret, draw_secret};
use crate::auth::entropy;
use crate::auth::failure::Failure;
use crate::auth::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::registered_client::{ApiAudience, ClientId, ClientName, RegisteredClient};
use crate::domain::scope::Scopes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::SecurityVersion;
use crate::store::QueryResult;
use crate::store::audit_events::{self, Event, Kind};
use crate::store::clients::{self, WithSecrets};
use crate::store::connection::AnyConnection;

/// A client to be registered.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// What people call it.
    pub name: ClientName,
    /// Whose tokens it may ask about; `None` for every token of this server.
    pub audience: Option<ApiAudience>,
    /// What it may do: one thing at least.
    pub scopes: Scopes,
    /// When its first secret expires, if it does.
    pub secret_expires_at: Option<Timestamp>,
}

/// What is to be changed; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ClientChanges {
    /// The name.
    pub name: Option<ClientName>,
    /// The audience, or that there shall be none.
    pub audience: Option<Option<ApiAudience>>,
    /// What it may do: one thing at least.
    pub scopes: Option<Scopes>,
    /// Whether it is kept out.
    pub disabled: Option<bool>,
}

/// Why a client stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// There is no such client, or it has no such secret.
    #[error("there is no such client or secret")]
    NotFound,
    /// Without a scope a client can do nothing.
    #[error("a client needs at least one scope")]
    NoScope,
    /// A secret would have expired before it was made.
    #[error("the secret must expire in the future")]
    ExpiryInThePast,
    /// It has as many secrets as it may have.
    #[error("the client has two secrets already; revoke one first")]
    TooManySecrets,
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Registers a client with its first secret, which is given out this once.
pub async fn create_client(
    auth: &Auth,
    actor: Actor<'_>,
    new: NewClient,
    client: &Client,
) -> Result<(WithSecrets, NewSecret), ManageError> {
    if new.scopes.is_empty() {
        return Err(ManageError::NoScope);
    }
    let now = auth.now();
    let (stored, secret) = draw_secret(new.secret_expires_at, now)?;
    let registered = RegisteredClient {
        id: ClientId::new(entropy::bytes().map_err(Failure::from)?),
        name: new.name,
        audience: new.audience,
        scopes: new.scopes,
        security_version: SecurityVersion::FIRST,
        created_at: now,
        created_by: actor.user_id(),
        disabled_at: None,
        last_used_at: None,
        last_used_ip: None,
    };
    let made = WithSecrets { client: registered, secrets: vec![stored] };
    let (by, credentials, client, job) = (actor.by(), actor.credentials(), client.clone(), made.clone());
    let is_permitted = auth.write(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(false);
        }
        clients::insert(connection, &job.client)?;
        for secret in &job.secrets {
            clients::insert_secret(connection, job.client.id, secret)?;
        }
        let event = Event::new(Kind::ClientCreated, now, by, &client).of_client(job.client.id);
        let detail = json!({ "name": job.client.name.as_str(), "scopes": job.client.scopes.to_string() });
        audit_events::record(connection, &event.with(detail))?;
        Ok(true)
    });
    if is_permitted.await? { Ok((made, secret)) } else { Err(ManageError::NoLongerPermitted) }
}

/// What a transaction came to.
pub(super) enum Outcome<T> {
    Done(T),
    NotFound,
    NoLongerPermitted,
    TooManySecrets,
}

impl<T> Outcome<T> {
    pub(super) fn into_result(self) -> Result<T, ManageError> {
        match self {
            Self::Done(done) => Ok(done),
            Self::NotFound => Err(ManageError::NotFound),
            Self::NoLongerPermitted => Err(ManageError::NoLongerPermitted),
            Self::TooManySecrets => Err(ManageError::TooManySecrets),
        }
    }
}

/// Changes a client and gives it as it is afterwards. Whatever takes something away from it, or makes it another one to
/// those whom its tokens are for, makes the tokens worthless that it holds.
pub async fn update_client(
    auth: &Auth,
    actor: Actor<'_>,
    id: ClientId,
    changes: ClientChanges,
    client: &Client,
) -> Result<WithSecrets, ManageError> {
    if changes.scopes.is_some_and(Scopes::is_empty) {
        return Err(ManageError::NoScope);
    }
    let (by, credentials, now, client) = (actor.by(), actor.credentials(), auth.now(), client.clone());
    let takes_away = changes.disabled == Some(true);
    let job = move |connection: &mut AnyConnection| {
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        let Some(before) = clients::hold(connection, id)? else { return Ok(Outcome::NotFound) };
        let after = changed(&before, &changes, now);
        if after != before {
            clients::update(connection, &after)?;
            record(connection, &before, &after, |kind| Event::new(kind, now, by, &client).of_client(id))?;
        }
        Ok(clients::find_with_secrets(connection, id)?.map_or(Outcome::NotFound, Outcome::Done))
    };
    // Keeping somebody out must be possible when the disk is full, too.
    let written = if takes_away { auth.write_end(job).await } else { auth.write(job).await };
    written?.into_result()
}

fn changed(before: &RegisteredClient, changes: &ClientChanges, now: Timestamp) -> RegisteredClient {
    let mut after = before.clone();
    if let Some(name) = &changes.name {
        after.name = name.clone();
    }
    if let Some(audience) = &changes.audience {
        after.audience.clone_from(audience);
    }
    after.scopes = changes.scopes.unwrap_or(before.scopes);
    after.disabled_at = match changes.disabled {
        None => before.disabled_at,
        Some(false) => None,
        Some(true) => before.disabled_at.or(Some(now)),
    };
    let is_kept_out = before.is_active() && !after.is_active();
    if is_kept_out || after.scopes != before.scopes || after.audience != before.audience {
        after.security_version = SecurityVersion::new(before.security_version.get() + 1);
    }
    after
}

fn record<'a>(
    connection: &mut AnyConnection,
    before: &RegisteredClient,
    after: &RegisteredClient,
    event: impl Fn(Kind) -> Event<'a>,
) -> QueryResult<()> {
    let mut parts = Vec::new();
    for (is_changed, part) in [
        (after.name != before.name, "name"),
        (after.audience != before.audience, "audience"),
        (after.scopes != before.scopes, "scopes"),
    ] {
        if is_changed {
            parts.push(part);
        }
    }
    if !parts.is_empty() {
        let detail = json!({ "changed": parts, "name": after.name.as_str(), "scopes": after.scopes.to_string() });
        audit_events::record(connection, &event(Kind::ClientUpdated).with(detail))?;
    }
    let kind = match (before.is_active(), after.is_active()) {
        (true, false) => Kind::ClientDisabled,
        (false, true) => Kind::ClientEnabled,
        _ => return Ok(()),
    };
    audit_events::record(connection, &event(kind))
}

/// Deletes a client, its secrets and with them its tokens.
pub async fn delete_client(auth: &Auth, actor: Actor<'_>, id: ClientId, client: &Client) -> Result<(), ManageError> {
    let (by, credentials, now, client) = (actor.by(), actor.credentials(), auth.now(), client.clone());
    auth.write_end(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        let Some(deleted) = clients::hold(connection, id)? else { return Ok(Outcome::NotFound) };
        clients::delete(connection, id)?;
        let event = Event::new(Kind::ClientDeleted, now, by, &client).of_client(id);
        audit_events::record(connection, &event.with(json!({ "name": deleted.name.as_str() })))?;
        Ok(Outcome::Done(()))
    })
    .await?
    .into_result()
}
