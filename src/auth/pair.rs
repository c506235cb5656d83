//! The pair of tokens that a sign-in, a refresh and a password change answer with.

use std::time::Duration;

use super::failure::Failure;
use super::status_lists::{self, Place};
use super::{Auth, entropy, refresh_tokens};
use crate::domain::client::Client;
use crate::domain::refresh_token::SessionNonce;
use crate::domain::session::{EndReason, Generation, Session, SessionId, SessionKind, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId};
use crate::secret::Secret;
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::{refresh_tokens as history, sessions};

/// An access token, the refresh token for the next one, and whose they are.
#[derive(Debug)]
pub struct Pair {
    /// The user.
    pub user: User,
    /// The session.
    pub session_id: SessionId,
    /// The access token, a JWT.
    pub access_token: Secret<String>,
    /// The refresh token.
    pub refresh_token: Secret<String>,
    /// How long the access token is valid from now on.
    pub expires_in: Duration,
    /// When the client should refresh: spread between 70 % and 90 % of `expires_in`, so that clients do not come at once.
    pub refresh_after: Duration,
    /// When the refresh token expires unused.
    pub refresh_token_expires_at: Timestamp,
}

impl Pair {
    /// Signs an access token to go with the refresh token.
    pub(super) fn issue(
        auth: &Auth,
        user: User,
        session: &Session,
        place: Option<Place>,
        refresh_token: Secret<String>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let access = auth.access_tokens.issue(&user, session, place, entropy::uuid()?, now)?;
        let refresh_after = access.expires_in.mul_f64(0.7 + 0.2 * entropy::fraction()?);
        Ok(Self {
            user,
            session_id: session.id,
            access_token: access.token,
            refresh_token,
            expires_in: access.expires_in,
            refresh_after,
            refresh_token_expires_at: session.idle_expires_at.min(session.expires_at),
        })
    }
}

/// A session that is about to begin: its secrets are drawn before the transaction that inserts it.
#[derive(Clone)]
pub(super) struct NewSession {
    session: Session,
    place: Option<Place>,
    nonce: SessionNonce,
    client: Client,
    max_sessions: u32,
}

impl NewSession {
    pub(super) async fn draw(auth: &Auth, user_id: UserId, client: &Client, now: Timestamp) -> Result<Self, Failure> {
        let place = status_lists::give_place(auth, now).await?;
        let nonce = entropy::session_nonce()?;
        let session = Session {
            id: entropy::session_id(now)?,
            kind: SessionKind::Api,
            user_id,
            nonce_digest: refresh_tokens::nonce_digest(&nonce),
            generation: Generation::FIRST,
            created_at: now,
            created_ip: client.address(),
            rotated_at: now,
            rotated_ip: client.address(),
            user_agent: client.user_agent().map(str::to_owned),
            idle_expires_at: now.after(auth.policy.rotation.idle_life),
            expires_at: now.after(auth.policy.session_max_life),
            window_started_at: now,
            window_generation: Generation::FIRST,
            state: SessionState::Open,
            ended_by: None,
            status_index: place.as_ref().map(|place| place.index),
        };
        Ok(Self { session, place, nonce, client: client.clone(), max_sessions: auth.policy.max_sessions_per_user })
    }

    /// The session's id.
    pub(super) fn id(&self) -> SessionId {
        self.session.id
    }

    /// Inserts the session and its first history row; the user's least recently used sessions beyond the limit end.
    /// The caller holds the user's row.
    pub(super) fn begin(&self, connection: &mut AnyConnection) -> QueryResult<()> {
        sessions::insert(connection, &self.session, &self.client)?;
        history::begin(connection, &self.session, &self.client)?;
        end_surplus(connection, &self.session, self.max_sessions, &self.client)
    }

    /// The pair of the session that has begun.
    pub(super) fn pair(self, auth: &Auth, user: User) -> Result<Pair, Failure> {
        let token = refresh_tokens::first(&auth.keyring, self.session.id, &self.nonce);
        Pair::issue(auth, user, &self.session, self.place, token, self.session.created_at)
    }
}

/// Ends the user's least recently used sessions beyond the limit, now that there is this one.
pub(super) fn end_surplus(
    connection: &mut AnyConnection,
    newest: &Session,
    max_sessions: u32,
    client: &Client,
) -> QueryResult<()> {
    let (user, at) = (newest.user_id, newest.created_at);
    let end = sessions::End { at, reason: EndReason::TooManySessions, by: None, client };
    let keep = max_sessions.saturating_sub(1);
    for ended in sessions::end_least_recently_used(connection, user, newest.id, keep, &end)? {
        let event = Event::new(Kind::SessionLimitReached, at, By::System, client).about(user).of_session(ended);
        audit_events::record(connection, &event)?;
    }
    Ok(())
}
