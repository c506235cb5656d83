//! The sessions of the web console: rows of `sessions` like any other, with a key in a cookie in place of tokens.
//!
//! A key is 256 random bits, and only its SHA-256 is stored. A session ends 30 minutes after its last use and 12 hours
//! after the sign-in, by the server's clock (ASVS 5.0 §7.3). It is worth nothing once the user's rights have changed.

mod begin;
mod change_password;
mod confirm;
mod forms;
mod guesses;
mod set_up;
mod sign_in;
mod sign_out;

pub use change_password::change_password;
pub use confirm::{CONFIRMED_FOR, ConfirmError, confirm_password};
pub use forms::{Form, form_token, is_form_token};
pub(super) use guesses::{Guess, Guesser};
pub use set_up::{SetUpError, SetUpLink, look_at_link, set_up};
pub use sign_in::sign_in;
pub use sign_out::{end_by_key, end_others, sign_out};

use std::sync::Arc;
use std::time::Duration;

use super::Auth;
use super::authenticate::Principal;
use super::failure::Failure;
use crate::domain::client::Client;
use crate::domain::preferences::Preferences;
use crate::domain::session::{Session, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId};
use crate::keyring;
use crate::secret::Secret;
use crate::store::{console_preferences, console_sessions, sessions};

/// How long a session lives without being used.
pub const IDLE_LIFE: Duration = Duration::from_mins(30);
/// How long it lives however much it is used.
pub const MAX_LIFE: Duration = Duration::from_hours(12);
/// Uses are noted this often at most, so that not every page costs a write.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// A session that has begun.
#[derive(Debug)]
pub struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// The session.
    pub session_id: SessionId,
    /// What goes into the cookie.
    pub key: Secret<String>,
    /// When the user had signed in before that.
    pub previous_login_at: Option<Timestamp>,
}

/// Whoever is signed in to the console, as the store has them now.
#[derive(Clone, Debug)]
pub struct ConsoleUser {
    /// The user, whose role decides, and the session.
    pub principal: Arc<Principal>,
    /// The session's times.
    pub session: Session,
    /// When the password was last given.
    pub confirmed_at: Timestamp,
    /// How the user wants to see the console.
    pub preferences: Preferences,
}

impl ConsoleUser {
    /// Whether the password was given so lately that dangerous things may be done.
    pub fn is_confirmed(&self, now: Timestamp) -> bool {
        now.since(self.confirmed_at) < CONFIRMED_FOR
    }
}

/// The session of a key and what is kept for its next page; it may have ended. Whoever makes keys up finds none.
pub async fn open(auth: &Auth, key: &str) -> Result<Option<(SessionId, String)>, Failure> {
    let digest = keyring::sha256(key.as_bytes());
    auth.read(move |connection| console_sessions::open(connection, &digest)).await
}

/// Who is signed in with this session; `None` when it has ended or expired, or the user's rights have changed since it
/// began. Notes now and then that it is in use.
pub async fn look_up(auth: &Auth, id: SessionId, client: &Client) -> Result<Option<ConsoleUser>, Failure> {
    let Some(user) = look_up_unused(auth, id).await? else { return Ok(None) };
    let idle_expires_at = note_use(auth, &user.session, client, auth.now()).await;
    Ok(Some(ConsoleUser { session: Session { idle_expires_at, ..user.session }, ..user }))
}

/// The same, for what a browser asks for by itself: that nobody is there must end the session (ASVS 5.0 §7.3.1).
pub async fn look_up_unused(auth: &Auth, id: SessionId) -> Result<Option<ConsoleUser>, Failure> {
    let found = auth.read(move |connection| console_sessions::find(connection, id)).await?;
    let now = auth.now();
    let found = found.filter(|found| {
        found.session.is_live(now) && found.user.is_active() && found.user.security_version == found.security_version
    });
    Ok(found.map(|found| ConsoleUser {
        principal: Arc::new(Principal { user: found.user, session_id: id }),
        session: found.session,
        confirmed_at: found.confirmed_at,
        preferences: found.preferences,
    }))
}

/// Gives when the session ends without another use. A use that cannot be noted is no reason to refuse the page: on a full
/// disk sessions must still be seen and ended.
async fn note_use(auth: &Auth, session: &Session, client: &Client, now: Timestamp) -> Timestamp {
    let idle_expires_at = now.after(IDLE_LIFE).min(session.expires_at);
    if idle_expires_at.since(session.idle_expires_at) < NOTED_EVERY {
        return session.idle_expires_at;
    }
    let (id, client) = (session.id, client.clone());
    let noted = auth.write(move |connection| sessions::touch(connection, id, &client, now, idle_expires_at)).await;
    if let Err(failure) = noted {
        tracing::warn!(%failure, "the use of a console session was not noted");
        return session.idle_expires_at;
    }
    idle_expires_at
}

/// Keeps something for the next page of a key's session.
pub async fn keep(auth: &Auth, key: &str, state: String) -> Result<(), Failure> {
    let digest = keyring::sha256(key.as_bytes());
    auth.write(move |connection| console_sessions::keep(connection, &digest, &state).map(|_| ())).await
}

/// How a user wants to see the console.
pub async fn preferences(auth: &Auth, user: UserId) -> Result<Preferences, Failure> {
    auth.read(move |connection| console_preferences::of(connection, user)).await
}

/// Keeps how a user wants to see the console.
pub async fn set_preferences(auth: &Auth, user: UserId, preferences: Preferences) -> Result<(), Failure> {
    auth.write(move |connection| console_preferences::set(connection, user, &preferences)).await
}

/// The key that the cookies of the console are signed with.
pub fn cookie_key(auth: &Auth) -> &Secret<Vec<u8>> {
    auth.keyring.primary().cookie_key()
}
