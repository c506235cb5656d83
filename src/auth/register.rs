//! Making accounts.

use serde_json::json;

use super::audit::denial::note_denied;
use super::failure::Failure;
use super::{Actor, Auth, reset_link};
use crate::config::Registration;
use crate::domain::client::Client;
use crate::domain::email::{Email, EmailError};
use crate::domain::password::{Password, PasswordError};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::domain::username::{Username, UsernameError};
use crate::secret::Secret;
use crate::store::audit_events::{self, Event, Kind};
use crate::store::error::StoreError;
use crate::store::users::{self, NewUser, Taken};

/// What is asked for, as it was written.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    /// The username.
    pub username: &'a str,
    /// The e-mail address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The role.
    pub role: Role,
}

/// Why no account was made.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Something written is not acceptable.
    #[error("the account is not acceptable as it is")]
    Invalid(Unacceptable),
    /// Somebody has the username or the e-mail address, perhaps a deleted account.
    #[error("the username or the e-mail address is taken")]
    Taken(Taken),
    /// Only admins register users here.
    #[error("registration is closed")]
    Closed,
    /// Only admins make admins.
    #[error("only an admin may make an admin")]
    RoleNotPermitted,
    /// The actor was signed out or changed while the account was being made.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What is wrong with each part of a new account.
#[derive(Debug, Default)]
pub struct Unacceptable {
    /// The username.
    pub username: Option<UsernameError>,
    /// The e-mail address.
    pub email: Option<EmailError>,
    /// The password.
    pub password: Option<PasswordError>,
}

/// Makes an account. Anonymous people may make users while registration is open; admins and operators anything.
pub async fn register(
    auth: &Auth,
    actor: Actor<'_>,
    account: NewAccount<'_>,
    client: &Client,
) -> Result<User, RegisterError> {
    if let Err(refusal) = permit(auth, actor, account.role) {
        if let Actor::User(principal) = actor {
            note_denied(auth, principal, "POST /api/users/register", client).await;
        }
        return Err(refusal);
    }
    let (username, email, password) = parse(account, auth.policy.password_min_length)?;
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    if !actor.is_admin() {
        auth.spend_registration(client)?;
    }
    refuse_taken(auth, &username, &email).await?;
    let password_hash = place.hash(password).await.map_err(Failure::from)?;
    let password_hash = Secret::new(password_hash);
    let new = NewUser { username, email, role: account.role, password_hash, created_at: auth.now() };
    let kind = if actor.is_admin() { Kind::UserCreated } else { Kind::UserRegistered };
    insert(auth, actor, new, kind, None, client).await
}

/// Inserts the account, if the actor still may, and the one-time link of this digest for it, if there is one; a unique violation by somebody who came between is the same answer as
/// a taken name.
pub(super) async fn insert(
    auth: &Auth,
    actor: Actor<'_>,
    new: NewUser,
    kind: Kind,
    link: Option<[u8; 32]>,
    client: &Client,
) -> Result<User, RegisterError> {
    let (username, email, credentials) = (new.username.clone(), new.email.clone(), actor.credentials());
    let (by, client) = (actor.by(), client.clone());
    let inserted = auth.write(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(None);
        }
        let user = users::insert(connection, &new)?;
        let event = Event::new(kind, new.created_at, by, &client).about(user.id);
        audit_events::record(connection, &event.with(json!({ "role": user.role.as_str() })))?;
        if let Some(digest) = &link {
            reset_link::put_down(connection, &user, digest, by, new.created_at, &client)?;
        }
        Ok(Some(user))
    });
    match inserted.await {
        Err(Failure::Store(StoreError::Taken)) => {
            refuse_taken(auth, &username, &email).await?;
            Err(RegisterError::Failed(Failure::Store(StoreError::Taken)))
        }
        result => result?.ok_or(RegisterError::NoLongerPermitted),
    }
}

pub(super) fn permit(auth: &Auth, actor: Actor<'_>, role: Role) -> Result<(), RegisterError> {
    if actor.is_admin() {
        Ok(())
    } else if auth.policy.registration == Registration::Closed {
        Err(RegisterError::Closed)
    } else if role == Role::Admin {
        Err(RegisterError::RoleNotPermitted)
    } else {
        Ok(())
    }
}

/// Everything that is wrong is said at once, as far as it can be known without the rest.
pub(super) fn parse(account: NewAccount<'_>, min_length: usize) -> Result<(Username, Email, Password), RegisterError> {
    match (Username::parse(account.username), Email::parse(account.email)) {
        (Ok(username), Ok(email)) => match Password::choose(account.password, min_length, &username, &email) {
            Ok(password) => Ok((username, email, password)),
            Err(error) => {
                Err(RegisterError::Invalid(Unacceptable { password: Some(error), ..Unacceptable::default() }))
            }
        },
        (username, email) => Err(RegisterError::Invalid(Unacceptable {
            username: username.err(),
            email: email.err(),
            password: Password::choose_unnamed(account.password, min_length).err(),
        })),
    }
}

pub(super) async fn refuse_taken(auth: &Auth, username: &Username, email: &Email) -> Result<(), RegisterError> {
    let (username, email) = (username.clone(), email.clone());
    let taken = auth.read(move |connection| users::taken(connection, &username, &email)).await?;
    if taken == Taken::default() { Ok(()) } else { Err(RegisterError::Taken(taken)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::passwords::HashingError;
    use crate::auth::start::{Purpose, start};
    use crate::clock::{Clock as _, ManualClock, SystemClock};
    use crate::config;

    async fn auth_in(folder: &tempfile::TempDir) -> Auth {
        let url = format!("sqlite://{}", folder.path().join("relatch.db").display());
        let secret = "cmVsYXRjaC10ZXN0LXNlY3JldC1vZi0zMi1ieXRlcyE=";
        let variables = [
            ("DATABASE_URL", url.as_str()),
            ("SECRET_KEY", secret),
            ("INSECURE_DEVELOPMENT", "on"),
            ("BCRYPT_COST", "4"),
            ("BALLAST_MB", "0"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = config::from_sources(variables, []).unwrap().config;
        start(&config, Arc::new(ManualClock::at(SystemClock.now())), Purpose::Serve).await.unwrap()
    }

    async fn registered(auth: &Auth, number: usize, client: &Client) -> Result<User, RegisterError> {
        let (username, email) = (format!("user{number}"), format!("user{number}@example.com"));
        let password = "a good sentence";
        let account = NewAccount { username: &username, email: &email, password, role: Role::User };
        register(auth, Actor::Anonymous, account, client).await
    }

    #[tokio::test]
    async fn k10_a_registration_that_finds_no_place_spends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let auth = auth_in(&folder).await;
        let client = Client::new("198.51.100.7".parse().ok(), None, None);
        let places: Vec<_> = std::iter::from_fn(|| auth.passwords.admit(&client).ok()).collect();
        for number in 0..100 {
            let refused = registered(&auth, number, &client).await;
            assert!(matches!(refused, Err(RegisterError::Failed(Failure::Hashing(HashingError::Busy)))), "{refused:?}");
        }
        drop(places);
        for number in 0..30 {
            registered(&auth, number, &client).await.unwrap();
        }
        let refused = registered(&auth, 30, &client).await;
        assert!(matches!(refused, Err(RegisterError::Failed(Failure::TooManyAttempts { .. }))), "{refused:?}");
    }
}
