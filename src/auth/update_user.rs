//! Changing, deleting and restoring accounts, by admins and operators.

use serde_json::json;

use super::failure::Failure;
use super::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::email::{Email, EmailError};
use crate::domain::role::Role;
use crate::domain::session::EndReason;
use crate::domain::user::{User, UserId, UserStatus};
use crate::store::QueryResult;
use crate::store::audit_events::{self, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, Lock};
use crate::store::error::StoreError;
use crate::store::{guess_counters, sessions, users};

/// What is to be changed; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserChanges<'a> {
    /// The e-mail address, as written.
    pub email: Option<&'a str>,
    /// The role. Another one raises the security version.
    pub role: Option<Role>,
    /// Whether the user is kept out. Keeping out ends all sessions.
    pub disabled: Option<bool>,
    /// The role that was there when this was decided on: with another one nothing is changed.
    pub if_role: Option<Role>,
}

/// Why the account stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// There is no such account, or it is deleted.
    #[error("there is no such user")]
    NotFound,
    /// The e-mail address is not acceptable.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// Somebody else has the e-mail address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Nobody could administer the service afterwards.
    #[error("this is the last admin who may sign in")]
    LastAdmin,
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

/// What a transaction came to.
enum Outcome {
    Done(User),
    NotFound,
    LastAdmin,
    RoleChanged,
    NoLongerPermitted,
}

impl Outcome {
    fn into_result(self) -> Result<User, UpdateError> {
        match self {
            Self::Done(user) => Ok(user),
            Self::NotFound => Err(UpdateError::NotFound),
            Self::LastAdmin => Err(UpdateError::LastAdmin),
            Self::RoleChanged => Err(UpdateError::RoleChanged),
            Self::NoLongerPermitted => Err(UpdateError::NoLongerPermitted),
        }
    }
}

/// Changes an account and gives it as it is afterwards.
pub async fn update_user(
    auth: &Auth,
    actor: Actor<'_>,
    id: UserId,
    changes: UserChanges<'_>,
    client: &Client,
) -> Result<User, UpdateError> {
    let email = changes.email.map(Email::parse).transpose()?;
    let UserChanges { role, disabled, if_role, .. } = changes;
    let (by, user_id) = (actor.by(), actor.user_id());
    let (credentials, now, client) = (actor.credentials(), auth.now(), client.clone());
    let job = move |connection: &mut AnyConnection| {
        lock(connection)?;
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        let Some(user) = find_for_change(connection, id)? else { return Ok(Outcome::NotFound) };
        if if_role.is_some_and(|role| role != user.role) {
            return Ok(Outcome::RoleChanged);
        }
        let event = |kind| Event::new(kind, now, by, &client).about(id);
        let loses_admin = role.is_some_and(|role| role != Role::Admin) || disabled == Some(true);
        if loses_admin && is_last_admin(connection, &user)? {
            return Ok(Outcome::LastAdmin);
        }
        if let Some(email) = email.as_ref().filter(|email| email.as_str() != user.email.as_str()) {
            users::set_email(connection, id, email, now)?;
            record(connection, event(Kind::UserUpdated).with(json!({ "changed": ["email"] })))?;
        }
        if let Some(role) = role.filter(|role| *role != user.role) {
            users::set_role(connection, id, role, now)?;
            let detail = json!({ "from": user.role.as_str(), "to": role.as_str() });
            record(connection, event(Kind::UserRoleChanged).with(detail))?;
        }
        match disabled {
            Some(true) if user.is_active() => {
                users::set_disabled(connection, id, true, now)?;
                let end = sessions::End { at: now, reason: EndReason::AccountDisabled, by: user_id, client: &client };
                let ended = sessions::end_all(connection, id, &end)?;
                record(connection, event(Kind::UserDisabled).with(json!({ "sessionsEnded": ended })))?;
            }
            Some(false) if !user.is_active() => {
                users::set_disabled(connection, id, false, now)?;
                guess_counters::clear_user(connection, id)?;
                record(connection, event(Kind::UserEnabled))?;
            }
            _ => {}
        }
        Ok(users::find(connection, id)?.map_or(Outcome::NotFound, Outcome::Done))
    };
    // Keeping somebody out must be possible when the disk is full, too.
    let written = if disabled == Some(true) { auth.write_end(job).await } else { auth.write_change(job).await };
    match written {
        Err(Failure::Store(StoreError::Taken)) => Err(UpdateError::EmailTaken),
        result => result?.into_result(),
    }
}

/// Marks an account as deleted and ends its sessions. Its username and e-mail stay reserved.
pub async fn delete_user(auth: &Auth, actor: Actor<'_>, id: UserId, client: &Client) -> Result<User, UpdateError> {
    let (by, user_id) = (actor.by(), actor.user_id());
    let (credentials, now, client) = (actor.credentials(), auth.now(), client.clone());
    auth.write_end(move |connection| {
        lock(connection)?;
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        let Some(user) = find_for_change(connection, id)? else { return Ok(Outcome::NotFound) };
        if is_last_admin(connection, &user)? {
            return Ok(Outcome::LastAdmin);
        }
        users::delete(connection, id, now)?;
        let end = sessions::End { at: now, reason: EndReason::AccountDeleted, by: user_id, client: &client };
        let ended = sessions::end_all(connection, id, &end)?;
        let event = Event::new(Kind::UserDeleted, now, by, &client).about(id);
        record(connection, event.with(json!({ "sessionsEnded": ended })))?;
        Ok(Outcome::Done(user))
    })
    .await?
    .into_result()
}

/// Takes back the deletion of an account. Its sessions stay ended.
pub async fn restore_user(auth: &Auth, actor: Actor<'_>, id: UserId, client: &Client) -> Result<User, UpdateError> {
    let (by, credentials, now, client) = (actor.by(), actor.credentials(), auth.now(), client.clone());
    auth.write_change(move |connection| {
        lock(connection)?;
        if !credentials.still_hold(connection)? {
            return Ok(Outcome::NoLongerPermitted);
        }
        if !users::restore(connection, id, now)? {
            return Ok(Outcome::NotFound);
        }
        record(connection, Event::new(Kind::UserRestored, now, by, &client).about(id))?;
        Ok(users::find(connection, id)?.map_or(Outcome::NotFound, Outcome::Done))
    })
    .await?
    .into_result()
}

fn record(connection: &mut AnyConnection, event: Event<'_>) -> QueryResult<()> {
    audit_events::record(connection, &event)
}

/// Changes of accounts by others than their owners come one after the other, so that two admins cannot each demote the
/// other on the strength of the other's being there.
fn lock(connection: &mut AnyConnection) -> QueryResult<()> {
    dialect::lock(connection, Lock::Admins)
}

fn find_for_change(connection: &mut AnyConnection, id: UserId) -> QueryResult<Option<User>> {
    Ok(users::find(connection, id)?.filter(|user| !matches!(user.status, UserStatus::Deleted { .. })))
}

fn is_last_admin(connection: &mut AnyConnection, user: &User) -> QueryResult<bool> {
    Ok(user.role == Role::Admin && user.is_active() && users::count_active_admins(connection)? <= 1)
}
