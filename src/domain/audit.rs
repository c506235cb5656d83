//! What is written into the audit trail: the kinds of events, whom they are put down to, and what came of them.
//!
//! Names are stable: they are stored, sealed and searched for.

use crate::domain::registered_client::ClientId;
use crate::domain::user::UserId;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Somebody signed in.
    LoginSucceeded,
    /// A password was wrong, or no account has the name.
    LoginFailed,
    /// The password was right, but the account is disabled or deleted.
    LoginDenied,
    /// There were so many wrong passwords in a row that further ones have to wait, or are not looked at.
    LoginThrottled,
    /// An admin or an operator let somebody try again who had given too many wrong passwords.
    BlockCleared,
    /// Somebody made an account of their own.
    UserRegistered,
    /// An admin or an operator made an account.
    UserCreated,
    /// An operator took over an account from elsewhere.
    UserImported,
    /// An account's e-mail address was changed.
    UserUpdated,
    /// An account got another role.
    UserRoleChanged,
    /// An account was disabled and its sessions were ended.
    UserDisabled,
    /// An account was enabled again.
    UserEnabled,
    /// An account was deleted and its sessions were ended.
    UserDeleted,
    /// The deletion of an account was taken back.
    UserRestored,
    /// A deleted account was removed for good.
    UserPurged,
    /// A user chose another password; the earlier sessions were ended.
    PasswordChanged,
    /// The current password was wrong when another was to be chosen.
    PasswordChangeFailed,
    /// An admin gave the password again, to do something dangerous in the console.
    PasswordConfirmed,
    /// The password was wrong when it was to be given again.
    PasswordConfirmFailed,
    /// An operator replaced a password, or its user did with a reset link; all sessions were ended.
    PasswordReset,
    /// A link with which a user can choose another password was made.
    ResetLinkCreated,
    /// A user ended a session of their own.
    SessionEnded,
    /// An admin, an operator or the holder of its refresh token ended a session.
    SessionRevoked,
    /// Several sessions were ended by one call.
    SessionsRevoked,
    /// A refresh token that had been replaced was presented again, and its session was ended.
    ReuseDetected,
    /// A refresh token newer than the store was presented, and its session was ended.
    StoreRolledBack,
    /// A session ended because its user had too many.
    SessionLimitReached,
    /// Somebody who is signed in asked for what only admins may do.
    AccessDenied,
    /// A link for making the first admin was made.
    SetupLinkCreated,
    /// The store is taken for an older copy: all sessions were ended and all signing keys replaced.
    StoreRestored,
    /// A key that signs access tokens was made.
    SigningKeyCreated,
    /// The next signing key takes the place of the one that signs, perhaps not yet.
    SigningKeyRotated,
    /// Keys that signed access tokens verify nothing any more.
    SigningKeyRetired,
    /// The server's secret was exchanged for another.
    SecretKeyExchanged,
    /// Access tokens have another issuer.
    IssuerChanged,
    /// The oldest days of the audit trail were deleted.
    AuditPruned,
    /// A client was registered.
    ClientCreated,
    /// A client got another name, another audience or other scopes.
    ClientUpdated,
    /// A client was disabled, and its tokens with it.
    ClientDisabled,
    /// A client was enabled again.
    ClientEnabled,
    /// A client was deleted with its secrets.
    ClientDeleted,
    /// A client got a secret.
    ClientSecretAdded,
    /// A secret of a client was taken away, and the tokens that were got with it.
    ClientSecretRevoked,
    /// A client got an access token of its own.
    ClientTokenIssued,
    /// Somebody named a client and could not prove to be it.
    ClientAuthenticationFailed,
    /// An admin took the audit trail away as a file, or a part of it.
    AuditExported,
    /// An admin took the list of users away as a file, or a part of it.
    UsersExported,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It was done.
    Succeeded,
    /// It was tried in vain.
    Failed,
    /// It was refused.
    Denied,
}

impl Outcome {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Denied];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }

    /// Reads the stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Everyday life.
    Info,
    /// Worth a look when there are many.
    Warning,
    /// Somebody should be woken.
    Critical,
}

impl Severity {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Whom an event is put down to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Somebody who did not prove who they are.
    Anonymous,
    /// A user or an admin.
    User(UserId),
    /// Whoever may run commands on the server.
    Operator,
    /// The server itself.
    System,
    /// A registered client.
    Client(ClientId),
}

impl By {
    /// The stable name of the kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(_) => "user",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Client(_) => "client",
        }
    }

    /// The user, if it is one.
    pub const fn user_id(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Anonymous | Self::Operator | Self::System | Self::Client(_) => None,
        }
    }

    /// The registered client, if it is one.
    pub const fn client_id(self) -> Option<ClientId> {
        match self {
            Self::Client(id) => Some(id),
            Self::Anonymous | Self::User(_) | Self::Operator | Self::System => None,
        }
    }
}

impl Kind {
    /// All there are, in the order in which they are documented.
    pub const ALL: [Self; 47] = [
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::LoginDenied,
        Self::LoginThrottled,
        Self::BlockCleared,
        Self::UserRegistered,
        Self::UserCreated,
        Self::UserImported,
        Self::UserUpdated,
        Self::UserRoleChanged,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserDeleted,
        Self::UserRestored,
        Self::UserPurged,
        Self::PasswordChanged,
        Self::PasswordChangeFailed,
        Self::PasswordConfirmed,
        Self::PasswordConfirmFailed,
        Self::PasswordReset,
        Self::ResetLinkCreated,
        Self::SessionEnded,
        Self::SessionRevoked,
        Self::SessionsRevoked,
        Self::ReuseDetected,
        Self::StoreRolledBack,
        Self::SessionLimitReached,
        Self::AccessDenied,
        Self::SetupLinkCreated,
        Self::StoreRestored,
        Self::SigningKeyCreated,
        Self::SigningKeyRotated,
        Self::SigningKeyRetired,
        Self::SecretKeyExchanged,
        Self::IssuerChanged,
        Self::AuditPruned,
        Self::ClientCreated,
        Self::ClientUpdated,
        Self::ClientDisabled,
        Self::ClientEnabled,
        Self::ClientDeleted,
        Self::ClientSecretAdded,
        Self::ClientSecretRevoked,
        Self::ClientTokenIssued,
        Self::ClientAuthenticationFailed,
        Self::AuditExported,
        Self::UsersExported,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginSucceeded => "login.succeeded",
            Self::LoginFailed => "login.failed",
            Self::LoginDenied => "login.denied",
            Self::LoginThrottled => "login.throttled",
            Self::BlockCleared => "block.cleared",
            Self::UserRegistered => "user.registered",
            Self::UserCreated => "user.created",
            Self::UserImported => "user.imported",
            Self::UserUpdated => "user.updated",
            Self::UserRoleChanged => "user.role_changed",
            Self::UserDisabled => "user.disabled",
            Self::UserEnabled => "user.enabled",
            Self::UserDeleted => "user.deleted",
            Self::UserRestored => "user.restored",
            Self::UserPurged => "user.purged",
            Self::PasswordChanged => "password.changed",
            Self::PasswordChangeFailed => "password.change_failed",
            Self::PasswordConfirmed => "password.confirmed",
            Self::PasswordConfirmFailed => "password.confirm_failed",
            Self::PasswordReset => "password.reset",
            Self::ResetLinkCreated => "reset_link.created",
            Self::SessionEnded => "session.ended",
            Self::SessionRevoked => "session.revoked",
            Self::SessionsRevoked => "sessions.revoked",
            Self::ReuseDetected => "session.reuse_detected",
            Self::StoreRolledBack => "session.store_rolled_back",
            Self::SessionLimitReached => "session.limit_reached",
            Self::AccessDenied => "access.denied",
            Self::SetupLinkCreated => "setup_link.created",
            Self::StoreRestored => "store.restored",
            Self::SigningKeyCreated => "signing_key.created",
            Self::SigningKeyRotated => "signing_key.rotated",
            Self::SigningKeyRetired => "signing_key.retired",
            Self::SecretKeyExchanged => "secret_key.exchanged",
            Self::IssuerChanged => "issuer.changed",
            Self::AuditPruned => "audit.pruned",
            Self::ClientCreated => "client.created",
            Self::ClientUpdated => "client.updated",
            Self::ClientDisabled => "client.disabled",
            Self::ClientEnabled => "client.enabled",
            Self::ClientDeleted => "client.deleted",
            Self::ClientSecretAdded => "client.secret_added",
            Self::ClientSecretRevoked => "client.secret_revoked",
            Self::ClientTokenIssued => "client.token_issued",
            Self::ClientAuthenticationFailed => "client.authentication_failed",
            Self::AuditExported => "audit.exported",
            Self::UsersExported => "users.exported",
        }
    }

    /// What came of every event of this kind.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::LoginFailed
            | Self::PasswordChangeFailed
            | Self::PasswordConfirmFailed
            | Self::ClientAuthenticationFailed => Outcome::Failed,
            Self::LoginDenied
            | Self::LoginThrottled
            | Self::ReuseDetected
            | Self::StoreRolledBack
            | Self::AccessDenied => Outcome::Denied,
            _ => Outcome::Succeeded,
        }
    }

    /// How much every event of this kind matters.
    pub const fn severity(self) -> Severity {
        match self {
            Self::ReuseDetected | Self::StoreRolledBack => Severity::Critical,
            Self::StoreRestored => Severity::Warning,
            _ => match self.outcome() {
                Outcome::Succeeded => Severity::Info,
                Outcome::Failed | Outcome::Denied => Severity::Warning,
            },
        }
    }

    /// The kinds that a name means: one, or with `.*` at its end all that begin with it. `None` when there is none.
    pub fn matching(pattern: &str) -> Option<Vec<Self>> {
        let kinds: Vec<Self> = match pattern.strip_suffix('*') {
            Some(start) if start.ends_with('.') => {
                Self::ALL.into_iter().filter(|kind| kind.as_str().starts_with(start)).collect()
            }
            Some(_) => Vec::new(),
            None => Self::ALL.into_iter().filter(|kind| kind.as_str() == pattern).collect(),
        };
        (!kinds.is_empty()).then_some(kinds)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_row_in_the_documentation() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        let documented: Vec<(String, String, String)> = include_str!("../../docs/audit.md")
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split('|');
                let name = cells.next()?.trim().strip_suffix('`')?.to_owned();
                let (result, severity) = (cells.next()?.trim().to_owned(), cells.next()?.trim().to_owned());
                name.contains('.').then_some((name, result, severity))
            })
            .collect();
        let listed: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| {
                let (result, severity) = (kind.outcome().as_str(), kind.severity().as_str());
                (kind.as_str().to_owned(), result.to_owned(), severity.to_owned())
            })
            .collect();
        assert_eq!(documented, listed);
    }

    #[test]
    fn a_pattern_means_one_kind_or_all_behind_a_dot() {
        assert_eq!(Kind::matching("login.failed"), Some(vec![Kind::LoginFailed]));
        let logins = [Kind::LoginSucceeded, Kind::LoginFailed, Kind::LoginDenied, Kind::LoginThrottled];
        assert_eq!(Kind::matching("login.*"), Some(logins.to_vec()));
        for nothing in ["", "*", "login*", "login", "login.", "nothing.*", "LOGIN.*", "login.%"] {
            assert_eq!(Kind::matching(nothing), None, "{nothing}");
        }
    }
}
