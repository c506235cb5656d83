//! What actix-session keeps, kept in our own tables: a key's session, and the message for its next page.
//!
//! Sessions begin and end in the verbs. A verb's key gets into the cookie by way of the state, under `KEY`.

use std::collections::HashMap;

use actix_session::Session;
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use actix_web::web::Data;

use crate::auth::console;
use crate::domain::client::Client;
use crate::domain::session::SessionId;
use crate::secret::Secret;
use crate::web::problem::Problem;
use crate::web::state::State;

/// The key that a verb has just drawn.
const KEY: &str = "key";
/// The id of the session that the cookie's key opens.
const SESSION: &str = "session";
/// The session could not be read; whether there is one is not known.
const UNREAD: &str = "unread";

type Map = HashMap<String, String>;

/// The session that the request's cookie opens, if it opens one. It may have ended.
pub(super) fn session_id(session: &Session) -> Result<Option<SessionId>, Problem> {
    if session.contains_key(UNREAD) {
        return Err(Problem::failure("the console's session could not be read", true));
    }
    let id: Option<String> = session.get(SESSION).map_err(|error| Problem::failure(error, false))?;
    Ok(id.as_deref().and_then(SessionId::parse))
}

/// Puts another key into the cookie. What the old one opened, if it still opens anything, ends.
pub(super) fn adopt(session: &Session, key: &Secret<String>) -> Result<(), Problem> {
    session.renew();
    session.insert(KEY, key.expose()).map_err(|error| Problem::failure(error, false))
}

/// The sessions of the console, for actix-session.
pub struct ConsoleStore(Data<State>);

impl ConsoleStore {
    pub(super) const fn new(state: Data<State>) -> Self {
        Self(state)
    }
}

/// An error of ours that was foreseen nowhere.
#[derive(Debug, thiserror::Error)]
#[error("something was kept for a session that no verb has begun")]
struct NoSession;

/// What goes into the database: everything but what is known without it.
fn kept(mut state: Map) -> Result<String, serde_json::Error> {
    for known in [KEY, SESSION, UNREAD] {
        state.remove(known);
    }
    serde_json::to_string(&state)
}

/// What was done is done: a message about it that cannot be kept, as on a full disk, is no reason to say it was not. One that
/// cannot be taken away is shown once more.
async fn keep(state: &State, key: &str, kept: String) {
    if let Err(failure) = console::keep(&state.auth, key, kept).await {
        tracing::warn!(%failure, "a message for the console's next page was not kept");
    }
}

impl SessionStore for ConsoleStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Map>, LoadError> {
        let opened = match console::open(&self.0.auth, key.as_ref()).await {
            Ok(opened) => opened,
            Err(failure) => {
                // An error here would be a bare 500; the guard turns this into what is true.
                tracing::warn!(%failure, "a console session could not be read");
                return Ok(Some(Map::from([(UNREAD.to_owned(), "true".to_owned())])));
            }
        };
        let Some((id, state)) = opened else { return Ok(None) };
        let mut state: Map = serde_json::from_str(&state).map_err(|error| LoadError::Deserialization(error.into()))?;
        state.insert(SESSION.to_owned(), format!("\"{id}\""));
        Ok(Some(state))
    }

    async fn save(&self, mut state: Map, _: &Duration) -> Result<SessionKey, SaveError> {
        let key = state.remove(KEY).ok_or_else(|| SaveError::Other(NoSession.into()))?;
        let key: String = serde_json::from_str(&key).map_err(|error| SaveError::Serialization(error.into()))?;
        let kept = kept(state).map_err(|error| SaveError::Serialization(error.into()))?;
        if kept != "{}" {
            keep(&self.0, &key, kept).await;
        }
        SessionKey::try_from(key).map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(&self, key: SessionKey, state: Map, _: &Duration) -> Result<SessionKey, UpdateError> {
        let kept = kept(state).map_err(|error| UpdateError::Serialization(error.into()))?;
        keep(&self.0, key.as_ref(), kept).await;
        Ok(key)
    }

    /// The server's clock decides how long a session lives, in [`console::look_up`].
    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        console::end_by_key(&self.0.auth, key.as_ref(), &Client::default()).await.map_err(Into::into)
    }
}
