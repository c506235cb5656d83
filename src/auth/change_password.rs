//! Changing a password, by its owner, and replacing one, by an operator. Every earlier session ends (ASVS 5.0 §7.4.3).

use serde_json::json;

use super::Auth;
use super::console::{Guess, Guesser};
use super::failure::Failure;
use super::guessing::Door;
use super::pair::{NewSession, Pair};
use super::passwords::Verification;
use crate::domain::client::Client;
use crate::domain::password::{Password, PasswordError};
use crate::domain::session::{EndReason, SessionId};
use crate::domain::user::{SecurityVersion, User, UserId, UserStatus};
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::{guess_counters, known_networks, sessions, users};

/// Why the password stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The current password was not given correctly.
    #[error("the current password is wrong")]
    WrongPassword,
    /// It was not, too many times in a row, and the session of the console has ended.
    #[error("the current password was wrong too many times")]
    TooManyWrong,
    /// The new password is not acceptable.
    #[error(transparent)]
    Unacceptable(#[from] PasswordError),
    /// There is no such account, or it is deleted.
    #[error("there is no such user")]
    NotFound,
    /// The account was changed by somebody else meanwhile, disabled for example.
    #[error("the account is not what it was when this began")]
    AccountChanged,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Replaces the password of `user`, who must give the current one, and begins a session in place of all earlier ones.
pub async fn change_password(
    auth: &Auth,
    user: &User,
    current: &str,
    new: &str,
    client: &Client,
) -> Result<Pair, ChangePasswordError> {
    let now = auth.now();
    let session = NewSession::draw(auth, user.id, client, now).await?;
    let begun = session.clone();
    let begin = move |connection: &mut _, _: &User| begun.begin(connection).map(|()| begun.id());
    let user = replace_password(auth, user, None, (current, new), client, begin).await?;
    Ok(session.pair(auth, user)?)
}

/// Replaces the password and ends all sessions; `begin` begins another in the same transaction, for the user as they
/// are afterwards. In a session of the console, wrong passwords are counted.
pub(super) async fn replace_password(
    auth: &Auth,
    user: &User,
    guesser: Option<Guesser>,
    (current, new): (&str, &str),
    client: &Client,
    begin: impl Fn(&mut AnyConnection, &User) -> QueryResult<SessionId> + Send + 'static,
) -> Result<User, ChangePasswordError> {
    let new = Password::choose(new, auth.policy.password_min_length, &user.username, &user.email)?;
    // What cannot be a password is none.
    let current = Password::from_login(current).map_err(|_| ChangePasswordError::WrongPassword)?;
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    let id = user.id;
    let watch = auth.watch(client);
    let read = auth.read(move |connection| {
        let standing = watch.as_ref().map(|watch| watch.user(connection, id)).transpose()?;
        Ok((users::password_hash(connection, id)?, standing))
    });
    let (stored, standing) = read.await?;
    let attempt = auth.attempt(standing, Door::InSession).await?;
    let (attempt, verified) = attempt.done(auth, place.verify(current, stored).await).await?;
    if verified == Verification::Wrong {
        let (now, client, wrong) = (auth.now(), client.clone(), attempt.wrong());
        let note = move |connection: &mut _| {
            wrong.note(connection, now, &client)?;
            match guesser {
                Some(guesser) => guesser.note_wrong(connection, Kind::PasswordChangeFailed, now, &client),
                None => {
                    let event = Event::new(Kind::PasswordChangeFailed, now, By::User(id), &client).about(id);
                    audit_events::record(connection, &event).map(|()| Guess::Wrong)
                }
            }
        };
        let noted = if guesser.is_some() { auth.write_change(note).await? } else { auth.write(note).await? };
        return Err(match noted {
            Guess::Wrong => ChangePasswordError::WrongPassword,
            Guess::Last => ChangePasswordError::TooManyWrong,
            Guess::TooLate => ChangePasswordError::AccountChanged,
        });
    }
    let (attempt, hash) = attempt.done(auth, place.hash(new).await).await?;
    let now = auth.now();
    let changed = auth
        .write_change({
            let (version, client, right) = (user.security_version, client.clone(), attempt.right());
            move |connection| {
                let in_time = guesser.map_or(Ok(true), |guesser| guesser.forgive(connection, now))?;
                if !in_time || !users::change_password(connection, id, version, &hash, now)? {
                    return Ok(None);
                }
                let end = sessions::End { at: now, reason: EndReason::PasswordChanged, by: Some(id), client: &client };
                let ended = sessions::end_all(connection, id, &end)?;
                let Some(user) = users::find(connection, id)? else { return Ok(None) };
                let session = begin(connection, &user)?;
                right.forgive(connection, now)?;
                let event = Event::new(Kind::PasswordChanged, now, By::User(id), &client).about(id);
                let event = event.of_session(session).with(json!({ "sessionsEnded": ended }));
                audit_events::record(connection, &event)?;
                Ok(Some(user))
            }
        })
        .await;
    let (attempt, changed) = attempt.done(auth, changed).await?;
    if changed.is_none() {
        attempt.give_back(auth).await;
    }
    changed.ok_or(ChangePasswordError::AccountChanged)
}

/// Replaces the password of a user who exists, disabled or not, and ends all of their sessions; for operators.
pub async fn reset_password(auth: &Auth, id: UserId, new: &str) -> Result<User, ChangePasswordError> {
    let user = auth
        .read(move |connection| users::find(connection, id))
        .await?
        .filter(|user| !matches!(user.status, UserStatus::Deleted { .. }))
        .ok_or(ChangePasswordError::NotFound)?;
    let new = Password::choose(new, auth.policy.password_min_length, &user.username, &user.email)?;
    let hash = auth.passwords.hash(new).await.map_err(Failure::from)?;
    let now = auth.now();
    let version: SecurityVersion = user.security_version;
    let changed = auth
        .write_change(move |connection| {
            if !users::reset_password(connection, id, version, &hash, now)? {
                return Ok(false);
            }
            guess_counters::clear_user(connection, id)?;
            // Whoever had the old password may have signed in with it.
            known_networks::forget(connection, id)?;
            let client = Client::default();
            let end = sessions::End { at: now, reason: EndReason::PasswordChanged, by: None, client: &client };
            let ended = sessions::end_all(connection, id, &end)?;
            let event = Event::new(Kind::PasswordReset, now, By::Operator, &client).about(id);
            audit_events::record(connection, &event.with(json!({ "sessionsEnded": ended })))?;
            Ok(true)
        })
        .await?;
    if changed { Ok(user) } else { Err(ChangePasswordError::AccountChanged) }
}
