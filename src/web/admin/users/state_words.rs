//! States of users and sessions in words and signs.

use crate::domain::session::{EndReason, Session, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserStatus};

/// A state as a badge shows it: by colour, sign and word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Badge {
    pub(super) tone: &'static str,
    pub(super) sign: &'static str,
    pub(super) text: &'static str,
}

pub(super) const fn of_user(user: &User) -> Badge {
    match user.status {
        UserStatus::Active => Badge { tone: "good", sign: "●", text: "Active" },
        UserStatus::Disabled { .. } => Badge { tone: "warn", sign: "■", text: "Disabled" },
        UserStatus::Deleted { .. } => Badge { tone: "bad", sign: "✕", text: "Deleted" },
    }
}

pub(super) fn of_session(session: &Session, now: Timestamp) -> Badge {
    match session.state {
        SessionState::Ended { reason: EndReason::Reuse | EndReason::StoreRolledBack, .. } => {
            Badge { tone: "bad", sign: "✕", text: "Revoked" }
        }
        SessionState::Ended { .. } => Badge { tone: "calm", sign: "○", text: "Ended" },
        SessionState::Open if session.is_expired(now) => Badge { tone: "calm", sign: "○", text: "Expired" },
        SessionState::Open => Badge { tone: "good", sign: "●", text: "Live" },
    }
}

/// Why a session ended.
pub(super) const fn why(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Logout => "signed out",
        EndReason::LogoutAll => "signed out everywhere",
        EndReason::EndedByUser => "ended from the list of their own sessions",
        EndReason::TokenRevoked => "a refresh token was revoked",
        EndReason::EndedByAdmin => "revoked by an admin or operator",
        EndReason::PasswordChanged => "new password",
        EndReason::AccountDisabled => "account disabled",
        EndReason::AccountDeleted => "account deleted",
        EndReason::Reuse => "a refresh token was used again: theft is assumed",
        EndReason::StoreRolledBack => "a token newer than the store was presented",
        EndReason::StoreRestored => "the store was restored",
        EndReason::TooManySessions => "too many sessions",
        EndReason::GenerationsUsedUp => "used up",
        EndReason::WrongPasswords => "too many wrong passwords",
    }
}
