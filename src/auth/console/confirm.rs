//! Giving the password again, before something dangerous (ASVS 5.0 §7.5.3).

use std::time::Duration;

use super::{ConsoleUser, Guess, Guesser};
use crate::auth::failure::Failure;
use crate::auth::guessing::Door;
use crate::auth::passwords::Verification;
use crate::auth::{Auth, entropy};
use crate::domain::client::Client;
use crate::domain::password::Password;
use crate::keyring;
use crate::secret::Secret;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::{console_sessions, sessions, users};

/// How long a password that was given counts.
pub const CONFIRMED_FOR: Duration = Duration::from_mins(5);

/// Why nothing is confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// It is not the user's password.
    #[error("the password is wrong")]
    WrongPassword,
    /// It was wrong too many times in a row, and the session has ended.
    #[error("the password was wrong too many times")]
    TooManyWrong,
    /// The session ended or the account was changed meanwhile.
    #[error("the session is not what it was when this began")]
    SessionChanged,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Verifies the password of whoever is signed in, and gives their session another key: the old one is worth nothing
/// afterwards.
pub async fn confirm_password(
    auth: &Auth,
    user: &ConsoleUser,
    password: &str,
    client: &Client,
) -> Result<Secret<String>, ConfirmError> {
    let password = Password::from_login(password).map_err(|_| ConfirmError::WrongPassword)?;
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    let (id, guesser) = (user.principal.user.id, Guesser::of(user));
    let watch = auth.watch(client);
    let read = auth.read(move |connection| {
        let standing = watch.as_ref().map(|watch| watch.user(connection, id)).transpose()?;
        Ok((users::password_hash(connection, id)?, standing))
    });
    let (stored, standing) = read.await?;
    let standing = standing.map(|standing| standing.at_console(user.principal.user.role));
    let attempt = auth.attempt(standing, Door::InSession).await?;
    let (attempt, verified) = attempt.done(auth, place.verify(password, stored).await).await?;
    if verified == Verification::Wrong {
        let (now, client, wrong) = (auth.now(), client.clone(), attempt.wrong());
        let note = move |connection: &mut _| {
            wrong.note(connection, now, &client)?;
            guesser.note_wrong(connection, Kind::PasswordConfirmFailed, now, &client)
        };
        return Err(match auth.write_change(note).await? {
            Guess::Wrong => ConfirmError::WrongPassword,
            Guess::Last => ConfirmError::TooManyWrong,
            Guess::TooLate => ConfirmError::SessionChanged,
        });
    }
    let client = client.clone();
    let key = entropy::secret_text().map_err(Failure::from)?;
    let (digest, now) = (keyring::sha256(key.expose().as_bytes()), auth.now());
    let right = attempt.right();
    let (session, version) = (user.session.id, user.principal.user.security_version);
    // Without it nobody could revoke everybody's sessions on a full disk. It adds a row for a password that was right.
    let renewed = auth
        .write_end(move |connection| {
            let found = sessions::find_with_user(connection, session)?;
            let holds = found.is_some_and(|(session, user)| {
                session.is_live(now) && user.is_active() && user.security_version == version
            });
            if !holds
                || !guesser.forgive(connection, now)?
                || !console_sessions::renew(connection, session, &digest, now)?
            {
                return Ok(false);
            }
            right.forgive(connection, now)?;
            let event = Event::new(Kind::PasswordConfirmed, now, By::User(id), &client).about(id);
            audit_events::record(connection, &event.of_session(session))?;
            Ok(true)
        })
        .await;
    let (attempt, renewed) = attempt.done(auth, renewed).await?;
    if !renewed {
        attempt.give_back(auth).await;
        return Err(ConfirmError::SessionChanged);
    }
    Ok(key)
}
