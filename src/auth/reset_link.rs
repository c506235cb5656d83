//! One-time links with which users choose another password, made by admins and operators for those who forgot theirs.

use std::time::Duration;

use serde_json::json;

use super::failure::Failure;
use super::setup_link::{digest_of, draw_token};
use super::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::network::Network;
use crate::domain::password::{Password, PasswordError};
use crate::domain::role::Role;
use crate::domain::session::EndReason;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId, UserStatus};
use crate::secret::Secret;
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::{guess_counters, known_networks, reset_links, sessions, users};

/// How long a link can be used.
pub const LIFE: Duration = Duration::from_mins(60);

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum ResetLinkError {
    /// There is no such account, or it is deleted.
    #[error("there is no such user")]
    NotFound,
    /// The account is disabled: its user could not sign in with any password.
    #[error("the account is disabled")]
    Disabled,
    /// The role is no longer what it was when this was decided on.
    #[error("the user's role was changed meanwhile")]
    RoleChanged,
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why the password stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The link is not the user's latest one, was used, is too old, or the account was changed since it was made.
    #[error("the link is not valid")]
    InvalidLink,
    /// The new password is not acceptable.
    #[error(transparent)]
    Unacceptable(#[from] PasswordError),
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

enum Made {
    Link,
    NotFound,
    Disabled,
    RoleChanged,
    NoLongerPermitted,
}

/// Makes a new token for a link of this user, 256 bits, and makes every earlier one invalid. Only the token's SHA-256 is
/// stored. Whoever decided on it by the user's role says which that was.
pub async fn make_reset_token(
    auth: &Auth,
    actor: Actor<'_>,
    id: UserId,
    if_role: Option<Role>,
    client: &Client,
) -> Result<Secret<String>, ResetLinkError> {
    let (token, digest) = draw_token().map_err(Failure::from)?;
    let (credentials, now) = (actor.credentials(), auth.now());
    let (by, client) = (actor.by(), client.clone());
    let made = auth
        .write(move |connection| {
            if !credentials.still_hold(connection)? {
                return Ok(Made::NoLongerPermitted);
            }
            let Some(user) = users::find(connection, id)? else { return Ok(Made::NotFound) };
            match user.status {
                UserStatus::Deleted { .. } => return Ok(Made::NotFound),
                UserStatus::Disabled { .. } => return Ok(Made::Disabled),
                UserStatus::Active => {}
            }
            if if_role.is_some_and(|role| role != user.role) {
                return Ok(Made::RoleChanged);
            }
            put_down(connection, &user, &digest, by, now, &client)?;
            Ok(Made::Link)
        })
        .await?;
    match made {
        Made::Link => Ok(token),
        Made::NotFound => Err(ResetLinkError::NotFound),
        Made::Disabled => Err(ResetLinkError::Disabled),
        Made::RoleChanged => Err(ResetLinkError::RoleChanged),
        Made::NoLongerPermitted => Err(ResetLinkError::NoLongerPermitted),
    }
}

/// Makes a link of this digest the user's only one, and says so in the trail.
pub(super) fn put_down(
    connection: &mut AnyConnection,
    user: &User,
    digest: &[u8; 32],
    by: By,
    now: Timestamp,
    client: &Client,
) -> QueryResult<()> {
    reset_links::replace(connection, user, digest, now, now.after(LIFE))?;
    audit_events::record(connection, &Event::new(Kind::ResetLinkCreated, now, by, client).about(user.id))
}

/// Whose password the link with this token is for; `None` when it is worth nothing.
pub async fn look_at_reset_link(auth: &Auth, token: &str, client: &Client) -> Result<Option<User>, Failure> {
    let now = auth.now();
    let found = match digest_of(token) {
        Some(digest) => auth.read(move |connection| reset_links::find(connection, &digest, now)).await?,
        None => None,
    };
    if found.is_none() {
        auth.spend_wrong_token(client)?;
    }
    Ok(found)
}

/// Replaces the password of a link's user and ends all of their sessions. The link is spent in the same transaction, so
/// that of two at once one wins; a password that is not acceptable does not spend it.
pub async fn reset_with_link(auth: &Auth, token: &str, new: &str, client: &Client) -> Result<User, ResetError> {
    // Nobody without a link gets a password hashed.
    let user = look_at_reset_link(auth, token, client).await?.ok_or(ResetError::InvalidLink)?;
    let digest = digest_of(token).ok_or(ResetError::InvalidLink)?;
    let new = Password::choose(new, auth.policy.password_min_length, &user.username, &user.email)?;
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    let hash = place.hash(new).await.map_err(Failure::from)?;
    let (now, client) = (auth.now(), client.clone());
    let changed = auth
        .write_change(move |connection| {
            let Some((id, version)) = reset_links::spend(connection, &digest, now)? else { return Ok(false) };
            if !users::change_password(connection, id, version, &hash, now)? {
                return Ok(false);
            }
            guess_counters::clear_user(connection, id)?;
            // Whoever had the old password may have signed in with it.
            known_networks::forget(connection, id)?;
            // Where the link was used is the owner's: whoever goes on guessing must not keep them out there.
            known_networks::note(connection, id, Network::of_client(&client), now)?;
            let end = sessions::End { at: now, reason: EndReason::PasswordChanged, by: Some(id), client: &client };
            let ended = sessions::end_all(connection, id, &end)?;
            let event = Event::new(Kind::PasswordReset, now, By::User(id), &client).about(id);
            audit_events::record(connection, &event.with(json!({ "by": "link", "sessionsEnded": ended })))?;
            Ok(true)
        })
        .await?;
    if changed { Ok(user) } else { Err(ResetError::InvalidLink) }
}
