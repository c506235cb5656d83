//! Signing in with a password: it begins a session.

use super::Auth;
use super::failure::Failure;
use super::guessing::{Attempt, Door, Standing, Watch};
use super::pair::{NewSession, Pair};
use super::passwords::Verification;
use crate::domain::client::Client;
use crate::domain::email::Email;
use crate::domain::fold::search_prefix;
use crate::domain::password::{Password, PasswordError};
use crate::domain::user::{User, UserId};
use crate::domain::username::Username;
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
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
    let name = Name::of(identifier);
    let mut account = None;
    for _ in 0..ATTEMPTS {
        let checked = check(auth, &name, &password, client, Door::Api).await?;
        account = Some(checked.user.id);
        match begin(auth, checked, client).await? {
            Ok(pair) => return Ok(pair),
            Err(attempt) => attempt.give_back(auth).await,
        }
    }
    refuse(auth, Kind::LoginDenied, account, None, client).await
}

/// A user and the stored form of their password.
type WithPassword = (User, String);

/// What a person types to say who they are.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// Its canonical form; `None` when nobody can be called that.
    key: Option<Key>,
    /// Whose guesses it counts among: neither white space around a name nor what folds to it makes another name.
    counts_as: Option<Key>,
    /// What it is counted as when nobody can be called anything like it.
    folded: String,
}

impl Name {
    pub(super) fn of(identifier: &str) -> Self {
        let (key, trimmed) = (key_of(identifier), identifier.trim());
        let folded = search_prefix(trimmed);
        let counts_as = key.clone().or_else(|| key_of(trimmed)).or_else(|| key_of(&folded));
        Self { key, counts_as, folded }
    }

    fn find(
        &self,
        connection: &mut AnyConnection,
        watch: Option<&Watch>,
    ) -> QueryResult<(Option<WithPassword>, Option<Standing>)> {
        let Some(watch) = watch else {
            return Ok((find(connection, self.key.as_ref())?, None));
        };
        let found = find(connection, self.counts_as.as_ref())?;
        // Which spellings are counted together must not depend on whether somebody has the name.
        let standing = match (&found, &self.counts_as) {
            (Some((user, _)), _) => watch.user(connection, user.id)?,
            (None, Some(Key::Username(key) | Key::Email(key))) => watch.name(connection, key)?,
            (None, None) => watch.no_name(connection, &self.folded)?,
        };
        Ok((found.filter(|_| self.key.is_some()), Some(standing)))
    }
}

/// Whoever has this key. What nobody can be called is looked up as well, so that it takes as long.
fn find(connection: &mut AnyConnection, key: Option<&Key>) -> QueryResult<Option<WithPassword>> {
    let of_nobody = Key::Username(String::new());
    users::find_by_key(connection, key.unwrap_or(&of_nobody))
}

/// Somebody who may sign in.
pub(super) struct Checked {
    pub(super) user: User,
    /// A stronger form of the password, to be stored in place of a weak one.
    pub(super) rehashed: Option<String>,
    pub(super) attempt: Attempt,
}

/// Refuses, and puts down why. The name that was typed is nowhere kept: people type their passwords there.
pub(super) async fn refuse<T>(
    auth: &Auth,
    kind: Kind,
    account: Option<UserId>,
    attempt: Option<&Attempt>,
    client: &Client,
) -> Result<T, LoginError> {
    let (now, client, wrong) = (auth.now(), client.clone(), attempt.map(Attempt::wrong));
    auth.write(move |connection| {
        audit_events::record(connection, &Event::new(kind, now, By::Anonymous, &client).about(account))?;
        wrong.map_or(Ok(()), |wrong| wrong.note(connection, now, &client))
    })
    .await?;
    Err(LoginError::InvalidCredentials)
}

/// The user of this name, if this is their password and they may sign in, or a refusal that is put down.
pub(super) async fn check(
    auth: &Auth,
    name: &Name,
    password: &Password,
    client: &Client,
    door: Door,
) -> Result<Checked, LoginError> {
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    let (watch, name) = (auth.watch(client), name.clone());
    let (found, standing) = auth.read(move |connection| name.find(connection, watch.as_ref())).await?;
    let (user, stored) = found.unzip();
    let standing = standing.map(|standing| match (door, &user) {
        (Door::Console, Some(user)) => standing.at_console(user.role),
        _ => standing,
    });
    let attempt = auth.attempt(standing, door).await?;
    let (attempt, verified) = attempt.done(auth, place.verify(password.clone(), stored).await).await?;
    if verified == Verification::Wrong {
        return refuse(auth, Kind::LoginFailed, user.map(|user| user.id), Some(&attempt), client).await;
    }
    let Some(user) = user else { return refuse(auth, Kind::LoginFailed, None, Some(&attempt), client).await };
    if !user.is_active() {
        // It stays counted as wrong, so that the delays do not tell that it was right.
        return refuse(auth, Kind::LoginDenied, Some(user.id), Some(&attempt), client).await;
    }
    if verified != Verification::RightButWeaklyStored {
        return Ok(Checked { user, rehashed: None, attempt });
    }
    let (attempt, rehashed) = attempt.done(auth, place.hash(password.clone()).await).await?;
    Ok(Checked { user, rehashed: Some(rehashed), attempt })
}

/// The canonical form of what a person types to say who they are; `None` when nobody can be called that.
pub(super) fn key_of(identifier: &str) -> Option<Key> {
    if identifier.contains('@') {
        Email::key_of(identifier).map(Key::Email)
    } else {
        Username::key_of(identifier).map(Key::Username)
    }
}

/// Begins the session; `Err` is the attempt, when the user changed since the password was verified.
async fn begin(auth: &Auth, checked: Checked, client: &Client) -> Result<Result<Pair, Attempt>, Failure> {
    let Checked { user, rehashed, attempt } = checked;
    let now = auth.now();
    let (attempt, new) = attempt.done(auth, NewSession::draw(auth, user.id, client, now).await).await?;
    let begun = auth
        .write_change({
            let (new, id, version, client) = (new.clone(), user.id, user.security_version, client.clone());
            let right = attempt.right();
            move |connection| {
                let unchanged = users::record_login(connection, id, version, rehashed.as_deref(), now)?;
                if unchanged {
                    new.begin(connection)?;
                    let event = Event::new(Kind::LoginSucceeded, now, By::User(id), &client).about(id);
                    audit_events::record(connection, &event.of_session(new.id()))?;
                    right.forgive(connection, now)?;
                }
                Ok(unchanged)
            }
        })
        .await;
    let (attempt, begun) = attempt.done(auth, begun).await?;
    if !begun {
        return Ok(Err(attempt));
    }
    attempt.refund(auth);
    new.pair(auth, user).map(Ok)
}
