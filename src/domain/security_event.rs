//! What security events are called in the log, in the OWASP logging vocabulary, so that whoever watches many services
//! needs no rules of their own for this one.

use crate::domain::audit::Kind;

/// A session began.
pub const SESSION_CREATED: &str = "session_created";
/// A session got its next refresh token.
pub const SESSION_RENEWED: &str = "session_renewed";
/// A token of a session that has ended or expired was presented.
pub const SESSION_USE_AFTER_EXPIRE: &str = "session_use_after_expire";
/// Somebody came more often than they may.
pub const RATE_LIMIT_EXCEEDED: &str = "excess_rate_limit_exceeded";
/// A request was not what it should be.
pub const INPUT_VALIDATION_FAILED: &str = "input_validation_fail";
/// A form of the console did not come from one of its own pages.
pub const CSRF: &str = "malicious_csrf";
/// The server serves.
pub const STARTUP: &str = "sys_startup";
/// The server has stopped.
pub const SHUTDOWN: &str = "sys_shutdown";
/// A part of the server panicked.
pub const CRASH: &str = "sys_crash";

/// What an event of the audit trail is called.
pub const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::LoginSucceeded | Kind::PasswordConfirmed => "authn_login_success",
        Kind::LoginFailed | Kind::LoginDenied | Kind::PasswordConfirmFailed | Kind::ClientAuthenticationFailed => {
            "authn_login_fail"
        }
        Kind::LoginThrottled => "authn_login_lock",
        Kind::PasswordChanged | Kind::PasswordReset => "authn_password_change",
        Kind::PasswordChangeFailed => "authn_password_change_fail",
        Kind::ResetLinkCreated | Kind::SetupLinkCreated | Kind::ClientSecretAdded | Kind::ClientTokenIssued => {
            "authn_token_created"
        }
        Kind::SessionRevoked | Kind::SessionsRevoked | Kind::StoreRestored | Kind::ClientSecretRevoked => {
            "authn_token_revoked"
        }
        Kind::ReuseDetected | Kind::StoreRolledBack => "authn_token_reuse",
        Kind::AccessDenied => "authz_fail",
        Kind::ClientCreated
        | Kind::ClientUpdated
        | Kind::ClientDisabled
        | Kind::ClientEnabled
        | Kind::ClientDeleted
        | Kind::IssuerChanged
        | Kind::BlockCleared => "authz_admin",
        Kind::UserRoleChanged => "privilege_permissions_changed",
        Kind::AuditExported | Kind::UsersExported => "sensitive_read",
        Kind::SigningKeyCreated => "sensitive_create",
        Kind::SigningKeyRotated | Kind::SecretKeyExchanged => "sensitive_update",
        Kind::SigningKeyRetired | Kind::AuditPruned => "sensitive_delete",
        Kind::SessionEnded | Kind::SessionLimitReached => "session_expired",
        Kind::UserRegistered | Kind::UserCreated | Kind::UserImported => "user_created",
        Kind::UserUpdated | Kind::UserDisabled | Kind::UserEnabled | Kind::UserRestored => "user_updated",
        Kind::UserDeleted | Kind::UserPurged => "user_deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that others beside the trail say.
    const ALONE: [&str; 9] = [
        SESSION_CREATED,
        SESSION_RENEWED,
        SESSION_USE_AFTER_EXPIRE,
        RATE_LIMIT_EXCEEDED,
        INPUT_VALIDATION_FAILED,
        CSRF,
        STARTUP,
        SHUTDOWN,
        CRASH,
    ];

    #[test]
    fn s3_every_name_is_of_the_vocabulary_and_documented() {
        let page = include_str!("../../docs/logs.md");
        let documented = |name: &str| page.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
        let families =
            ["authn", "authz", "excess", "input", "malicious", "privilege", "sensitive", "session", "sys", "user"];
        for name in Kind::ALL.into_iter().map(name).chain(ALONE) {
            let (family, _) = name.split_once('_').unwrap();
            assert!(families.contains(&family), "{name}");
            assert!(documented(name), "{name} is not in docs/logs.md");
        }
    }

    #[test]
    fn s3_what_is_documented_of_a_kind_is_its_name() {
        let page = include_str!("../../docs/audit.md");
        for kind in Kind::ALL {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", kind.as_str()))).unwrap();
            let in_log = row.split('|').nth(4).unwrap().trim();
            assert_eq!(in_log, format!("`{}`", name(kind)), "{row}");
        }
    }
}
