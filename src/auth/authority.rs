//! On whose authority something is done, and whether it still is when it is done.

use super::authenticate::Principal;
use super::clients::{ClientAuthority, ClientPrincipal};
use crate::domain::audit::By;
use crate::domain::role::Role;
use crate::domain::session::{SessionId, SessionState};
use crate::domain::user::{SecurityVersion, UserId};
use crate::store::QueryResult;
use crate::store::connection::AnyConnection;
use crate::store::sessions;

/// On whose authority something is done.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// Somebody who did not say who they are.
    Anonymous,
    /// A signed-in user or admin.
    User(&'a Principal),
    /// A registered client, by its own access token.
    Client(&'a ClientPrincipal),
    /// Whoever may run commands on the server.
    Operator,
}

impl Actor<'_> {
    /// The id of the user who acts, if one does.
    pub(super) fn user_id(self) -> Option<UserId> {
        match self {
            Self::User(principal) => Some(principal.user.id),
            Self::Anonymous | Self::Client(_) | Self::Operator => None,
        }
    }

    /// Whom the audit trail puts it down to.
    pub(super) fn by(self) -> By {
        match self {
            Self::Anonymous => By::Anonymous,
            Self::User(principal) => By::User(principal.user.id),
            Self::Client(principal) => By::Client(principal.client.id),
            Self::Operator => By::Operator,
        }
    }

    /// Whether they may do what admins do.
    pub(super) fn is_admin(self) -> bool {
        match self {
            Self::Operator => true,
            Self::User(principal) => principal.user.role == Role::Admin,
            Self::Anonymous | Self::Client(_) => false,
        }
    }

    /// What must still be so in the transaction that acts.
    pub(super) fn credentials(self) -> Credentials {
        match self {
            Self::User(principal) => Credentials::User(principal.session_id, principal.user.security_version),
            Self::Client(principal) => Credentials::Client(principal.authority()),
            Self::Anonymous | Self::Operator => Credentials::None,
        }
    }
}

/// What somebody's authority rests on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Credentials {
    /// On nothing that could change.
    None,
    /// The session and the security version.
    User(SessionId, SecurityVersion),
    /// A client's secret and its security version.
    Client(ClientAuthority),
}

impl Credentials {
    /// The session that they rest on, if they rest on one.
    pub(super) fn session_id(self) -> Option<SessionId> {
        match self {
            Self::User(session, _) => Some(session),
            Self::None | Self::Client(_) => None,
        }
    }

    /// Whether neither the session has ended nor the user changed, and both stay so until the transaction ends: whoever
    /// takes the authority away at the same moment waits for this, or is seen by it. Between a token's check and the act
    /// there may be a hash and a queue. A lock that the act needs is taken first: what was so before a wait is not so
    /// after it.
    pub(super) fn still_hold(self, connection: &mut AnyConnection) -> QueryResult<bool> {
        match self {
            Self::None => Ok(true),
            Self::User(session, version) => {
                let found = sessions::hold_with_user(connection, session)?;
                Ok(found.is_some_and(|(session, user)| {
                    session.state == SessionState::Open && user.is_active() && user.security_version == version
                }))
            }
            Self::Client(authority) => authority.still_holds(connection),
        }
    }
}
