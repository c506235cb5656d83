//! Signing in with a password: it begins a session.

use super::Auth;
use super::failure::Failure;
use super::pair::{NewSession, Pair};
use super::passwords::Verification;
use crate::domain::client::Client;
use crate::domain::email::Email;
use crate::domain::password::{Password, PasswordError};
use crate::domain::user::{User, UserId};
use crate::domain::username::Username;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::users::{self, Key};

/// How often a sign-in starts over because the account changed while its password was being verified.
pub(super) const ATTEMPTS: u32 = 3;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown user, wrong password, disabled or deleted account: one and the same (ASVS 5.0 §6.3.8).
    #[error("wrong username or password")]
    InvalidCredentials,
    /// No account can have this password, so none is looked up.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Begins a session for the user that a username or an e-mail address names. An unknown one takes as long as a wrong
/// password. The security version is read again in the transaction that inserts the session, so that a password that
/// was verified before a change gives no session after it.
pub async fn login(auth: &Auth, identifier: &str, password: &str, client: &Client) -> Result<Pair, LoginError> {
    let password = Password::from_login(password)?;
    let key = key_of(identifier);
    let mut account = None;
    for _ in 0..ATTEMPTS {
        let (user, rehashed) = check(auth, key.clone(), &password, client).await?;
        account = Some(user.id);
        if let Some(pair) = begin(auth, user, rehashed, client).await? {
            return Ok(pair);
        }
    }
    refuse(auth, Kind::LoginDenied, account, client).await
}

/// Refuses, and puts down why. The name that was typed is nowhere kept: people type their passwords there.
pub(super) async fn refuse<T>(
    auth: &Auth,
    kind: Kind,
    account: Option<UserId>,
    client: &Client,
) -> Result<T, LoginError> {
    let (now, client) = (auth.now(), client.clone());
    auth.write(move |connection| {
        audit_events::record(connection, &Event::new(kind, now, By::Anonymous, &client).about(account))
    })
    .await?;
    Err(LoginError::InvalidCredentials)
}

/// The user of this name, if this is their password and they may sign in, or a refusal that is put down; and a stronger
/// form of the password to be stored in place of a weak one.
pub(super) async fn check(
    auth: &Auth,
    key: Option<Key>,
    password: &Password,
    client: &Client,
) -> Result<(User, Option<String>), LoginError> {
    let found = match key {
        Some(key) => auth.read(move |connection| users::find_by_key(connection, &key)).await?,
        None => None,
    };
    let (user, stored) = found.unzip();
    let verified = auth.passwords.verify(password.clone(), stored).await.map_err(Failure::from)?;
    if verified == Verification::Wrong {
        return refuse(auth, Kind::LoginFailed, user.map(|user| user.id), client).await;
    }
    let Some(user) = user else { return refuse(auth, Kind::LoginFailed, None, client).await };
    if !user.is_active() {
        return refuse(auth, Kind::LoginDenied, Some(user.id), client).await;
    }
    let rehashed = match verified {
        Verification::RightButWeaklyStored => Some(auth.passwords.hash(password.clone()).await.map_err(Failure::from)?),
        _ => None,
    };
    Ok((user, rehashed))
}

/// The canonical form of what a person types to say who they are; `None` when nobody can be called that.
pub(super) fn key_of(identifier: &str) -> Option<Key> {
    if identifier.contains('@') {
        Email::key_of(identifier).map(Key::Email)
    } else {
        Username::key_of(identifier).map(Key::Username)
    }
}

/// `None` when the user changed since the password was verified.
async fn begin(auth: &Auth, user: User, rehashed: Option<String>, client: &Client) -> Result<Option<Pair>, Failure> {
    let now = auth.now();
    let new = NewSession::draw(auth, user.id, client, now).await?;
    let begun = auth
        .write_change({
            let (new, id, version, client) = (new.clone(), user.id, user.security_version, client.clone());
            move |connection| {
                let unchanged = users::record_login(connection, id, version, rehashed.as_deref(), now)?;
                if unchanged {
                    new.begin(connection)?;
                    let event = Event::new(Kind::LoginSucceeded, now, By::User(id), &client).about(id);
                    audit_events::record(connection, &event.of_session(new.id()))?;
                }
                Ok(unchanged)
            }
        })
        .await?;
    if begun { new.pair(auth, user).map(Some) } else { Ok(None) }
}
