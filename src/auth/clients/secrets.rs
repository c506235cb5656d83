//! The secrets of clients: made, given out once, and taken away.

use serde_json::json;

use super::manage::{ManageError, Outcome};
use crate::auth::entropy;
use crate::auth::failure::Failure;
use crate::auth::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::registered_client::{ClientId, ClientSecret, SecretId, write_secret};
use crate::domain::timestamp::Timestamp;
use crate::keyring;
use crate::secret::Secret;
use crate::store::audit_events::{self, Event, Kind};
use crate::store::clients;

/// How many valid secrets a client may have: the one in use, and the one that takes its place.
pub const SECRETS_MAX: i64 = 2;

/// A secret that has just been made.
#[derive(Debug)]
pub struct NewSecret {
    /// Its id and times.
    pub facts: ClientSecret,
    /// What the client proves itself with. It is stored nowhere.
    pub value: Secret<String>,
}

/// Draws a secret, and gives what is stored of it.
pub(super) fn draw_secret(
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(ClientSecret, NewSecret), ManageError> {
    if expires_at.is_some_and(|at| at <= now) {
        return Err(ManageError::ExpiryInThePast);
    }
    let value = write_secret(&entropy::secret_text().map_err(Failure::from)?);
    let facts = ClientSecret {
        id: SecretId::new(entropy::uuid().map_err(Failure::from)?),
        digest: keyring::sha256(value.expose().as_bytes()),
        created_at: now,
        expires_at,
        last_used_at: None,
    };
    Ok((facts.clone(), NewSecret { facts, value }))
}

/// Gives a client another secret, which is given out this once. Secrets that have expired go.
pub async fn add_secret(
    auth: &Auth,
    actor: Actor<'_>,
    id: ClientId,
    expires_at: Option<Timestamp>,
    client: &Client,
) -> Result<NewSecret, ManageError> {
    let now = auth.now();
    let (stored, new) = draw_secret(expires_at, now)?;
    let (by, credentials, client) = (actor.by(), actor.credentials(), client.clone());
    let added = auth.write(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        if clients::hold(connection, id)?.is_none() {
            return Ok(Outcome::NotFound);
        }
        clients::delete_expired_secrets(connection, id, now)?;
        if clients::count_valid_secrets(connection, id, now)? >= SECRETS_MAX {
            return Ok(Outcome::TooManySecrets);
        }
        clients::insert_secret(connection, id, &stored)?;
        let event = Event::new(Kind::ClientSecretAdded, now, by, &client).of_client(id);
        audit_events::record(connection, &event.with(json!({ "secretId": stored.id.to_string() })))?;
        Ok(Outcome::Done(()))
    });
    added.await?.into_result()?;
    Ok(new)
}

/// Takes a secret away from a client: neither it nor any access token that was got with it is accepted any more.
pub async fn revoke_secret(
    auth: &Auth,
    actor: Actor<'_>,
    id: ClientId,
    secret: SecretId,
    client: &Client,
) -> Result<(), ManageError> {
    let (by, credentials, now, client) = (actor.by(), actor.credentials(), auth.now(), client.clone());
    auth.write_end(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        // Whoever acts with this secret at the same moment is waited for.
        if clients::hold(connection, id)?.is_none() || !clients::delete_secret(connection, id, secret)? {
            return Ok(Outcome::NotFound);
        }
        let event = Event::new(Kind::ClientSecretRevoked, now, by, &client).of_client(id);
        audit_events::record(connection, &event.with(json!({ "secretId": secret.to_string() })))?;
        Ok(Outcome::Done(()))
    })
    .await?
    .into_result()
}
