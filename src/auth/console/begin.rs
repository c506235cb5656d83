//! Beginning a session of the console: its secrets are drawn before the transaction that inserts it.

use super::{IDLE_LIFE, MAX_LIFE, SignedIn};
use crate::auth::failure::Failure;
use crate::auth::pair::end_surplus;
use crate::auth::{Auth, entropy};
use crate::domain::client::Client;
use crate::domain::session::{Generation, Session, SessionId, SessionKind, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{SecurityVersion, User, UserId};
use crate::keyring;
use crate::secret::Secret;
use crate::store::QueryResult;
use crate::store::connection::AnyConnection;
use crate::store::{console_sessions, sessions};

/// A session that is about to begin.
#[derive(Clone)]
pub(super) struct NewConsoleSession {
    id: SessionId,
    /// The key for the cookie.
    key: Secret<String>,
    /// No refresh token fits it: nobody knows what it would be the digest of.
    nonce_digest: [u8; 32],
    client: Client,
    max_sessions: u32,
    now: Timestamp,
}

impl NewConsoleSession {
    pub(super) fn draw(auth: &Auth, client: &Client, now: Timestamp) -> Result<Self, Failure> {
        Ok(Self {
            id: entropy::session_id(now)?,
            key: entropy::secret_text()?,
            nonce_digest: entropy::bytes()?,
            client: client.clone(),
            max_sessions: auth.policy.max_sessions_per_user,
            now,
        })
    }

    /// Inserts the session; the user's least recently used sessions beyond the limit end. The caller holds the user's
    /// row.
    pub(super) fn begin(
        &self,
        connection: &mut AnyConnection,
        user: UserId,
        version: SecurityVersion,
    ) -> QueryResult<()> {
        let session = self.session(user);
        sessions::insert(connection, &session, &self.client)?;
        console_sessions::insert(connection, &session, &keyring::sha256(self.key.expose().as_bytes()), version)?;
        end_surplus(connection, &session, self.max_sessions, &self.client)
    }

    /// The session's id.
    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// What the web gets of a session that has begun.
    pub(super) fn signed_in(self, user: User) -> SignedIn {
        SignedIn { previous_login_at: user.last_login_at, user, session_id: self.id, key: self.key }
    }

    fn session(&self, user_id: UserId) -> Session {
        Session {
            id: self.id,
            kind: SessionKind::Console,
            user_id,
            nonce_digest: self.nonce_digest,
            generation: Generation::FIRST,
            created_at: self.now,
            created_ip: self.client.address(),
            rotated_at: self.now,
            rotated_ip: self.client.address(),
            user_agent: self.client.user_agent().map(str::to_owned),
            idle_expires_at: self.now.after(IDLE_LIFE),
            expires_at: self.now.after(MAX_LIFE),
            window_started_at: self.now,
            window_generation: Generation::FIRST,
            state: SessionState::Open,
            ended_by: None,
            status_index: None,
        }
    }
}
