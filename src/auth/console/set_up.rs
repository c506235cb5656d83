//! Making the first admin with the one-time link.

use serde_json::json;

use super::SignedIn;
use super::begin::NewConsoleSession;
use crate::auth::Auth;
use crate::auth::failure::Failure;
use crate::auth::register::{NewAccount, RegisterError, parse, refuse_taken};
use crate::auth::setup_link::digest_of;
use crate::domain::client::Client;
use crate::domain::network::Network;
use crate::domain::role::Role;
use crate::secret::Secret;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::dialect::{self, Lock};
use crate::store::error::StoreError;
use crate::store::users::NewUser;
use crate::store::{known_networks, setup_links, users};

/// What a link is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetUpLink {
    /// The first admin can be made with it.
    Valid,
    /// It is not the latest one, was used, or is too old.
    Invalid,
    /// There is an admin already, so that no link is needed.
    NotNeeded,
}

/// Why there is no admin after it.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The link is not the valid one.
    #[error("the link is not valid")]
    InvalidLink,
    /// There is an admin already.
    #[error("there is an admin already")]
    NotNeeded,
    /// The account is not acceptable.
    #[error(transparent)]
    Refused(#[from] RegisterError),
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What the link with this token is worth now.
pub async fn look_at_link(auth: &Auth, token: &str) -> Result<SetUpLink, Failure> {
    let (digest, now) = (digest_of(token), auth.now());
    auth.read(move |connection| {
        if users::has_admin(connection)? {
            return Ok(SetUpLink::NotNeeded);
        }
        let Some(digest) = digest else { return Ok(SetUpLink::Invalid) };
        Ok(if setup_links::is_valid(connection, &digest, now)? { SetUpLink::Valid } else { SetUpLink::Invalid })
    })
    .await
}

/// Makes the first admin and signs them in. The link is spent in the same transaction, so that of two at once one wins.
pub async fn set_up(
    auth: &Auth,
    token: &str,
    account: NewAccount<'_>,
    client: &Client,
) -> Result<SignedIn, SetUpError> {
    // Nobody without a link gets a password hashed.
    worth(look_at_link(auth, token).await?)?;
    let (username, email, password) = parse(account, auth.policy.password_min_length)?;
    refuse_taken(auth, &username, &email).await?;
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    let password_hash = Secret::new(place.hash(password).await.map_err(Failure::from)?);
    let (digest, now) = (digest_of(token).ok_or(SetUpError::InvalidLink)?, auth.now());
    let session = NewConsoleSession::draw(auth, client, now)?;
    let new =
        NewUser { username: username.clone(), email: email.clone(), role: Role::Admin, password_hash, created_at: now };
    let (begun, by) = (session.clone(), client.clone());
    let made = auth
        .write_change(move |connection| {
            dialect::lock(connection, Lock::Setup)?;
            if users::has_admin(connection)? {
                return Ok(Err(SetUpLink::NotNeeded));
            }
            if !setup_links::spend(connection, &digest, now)? {
                return Ok(Err(SetUpLink::Invalid));
            }
            let user = users::insert(connection, &new)?;
            users::record_login(connection, user.id, user.security_version, None, now)?;
            known_networks::note(connection, user.id, Network::of_client(&by), now)?;
            begun.begin(connection, user.id, user.security_version)?;
            let event = Event::new(Kind::UserCreated, now, By::Anonymous, &by).about(user.id).of_session(begun.id());
            let detail = json!({ "role": user.role.as_str(), "setupLink": true });
            audit_events::record(connection, &event.with(detail))?;
            Ok(Ok(user))
        })
        .await;
    match made {
        Err(Failure::Store(StoreError::Taken)) => {
            // Somebody registered the name between the look and the insertion.
            refuse_taken(auth, &username, &email).await?;
            Err(SetUpError::Failed(Failure::Store(StoreError::Taken)))
        }
        Err(failure) => Err(failure.into()),
        Ok(Err(link)) => Err(worth(link).err().unwrap_or(SetUpError::InvalidLink)),
        Ok(Ok(user)) => Ok(session.signed_in(user)),
    }
}

fn worth(link: SetUpLink) -> Result<(), SetUpError> {
    match link {
        SetUpLink::Valid => Ok(()),
        SetUpLink::Invalid => Err(SetUpError::InvalidLink),
        SetUpLink::NotNeeded => Err(SetUpError::NotNeeded),
    }
}
