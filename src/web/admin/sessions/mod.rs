//! `/admin/sessions`: the list of sessions, the page of each with the picture of its rotations, and how they are revoked.

pub mod list;
mod query;
pub mod revoke;
pub mod revoke_all;
pub mod show;

use super::guard::Console;
use super::moment::Moment;
use crate::domain::session::{EndReason, Session, SessionId, SessionKind, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::web::problem::{Code, Problem};

/// A session's state as a badge: by colour, sign and word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Badge {
    /// The colour.
    pub tone: &'static str,
    /// The sign.
    pub sign: &'static str,
    /// The word.
    pub text: &'static str,
}

impl Badge {
    fn of(session: &Session, now: Timestamp) -> Self {
        match session.state {
            SessionState::Ended { reason: EndReason::Reuse, .. } => Self { tone: "bad", sign: "✕", text: "Reuse" },
            SessionState::Ended { .. } => Self { tone: "calm", sign: "■", text: "Ended" },
            SessionState::Open if session.is_expired(now) => Self { tone: "calm", sign: "○", text: "Expired" },
            SessionState::Open => Self { tone: "good", sign: "●", text: "Live" },
        }
    }
}

/// How and when a session ended, in a few words for its row.
fn end_of(session: &Session, ended_by: Option<&str>, console: &Console, now: Timestamp) -> Option<(Moment, String)> {
    let (at, words) = match session.state {
        SessionState::Ended { at, reason } => (at, reason_words(reason, ended_by, session.ended_by)),
        SessionState::Open if session.expires_at <= now => (session.expires_at, "its longest life was over".to_owned()),
        SessionState::Open if session.is_expired(now) => (session.idle_expires_at, "it was not used".to_owned()),
        SessionState::Open => return None,
    };
    Some((console.moment(at), words))
}

fn reason_words(reason: EndReason, ended_by: Option<&str>, id: Option<UserId>) -> String {
    let words = match reason {
        EndReason::EndedByAdmin => {
            return match (ended_by, id) {
                (Some(name), _) => format!("revoked by {name}"),
                (None, Some(id)) => format!("revoked by user {id} (removed)"),
                (None, None) => "revoked by an operator".to_owned(),
            };
        }
        EndReason::Logout => "signed out",
        EndReason::LogoutAll => "signed out everywhere",
        EndReason::EndedByUser => "ended by the user",
        EndReason::TokenRevoked => "its token was revoked",
        EndReason::PasswordChanged => "password changed",
        EndReason::AccountDisabled => "account disabled",
        EndReason::AccountDeleted => "account deleted",
        EndReason::Reuse => "an old token was presented",
        EndReason::StoreRolledBack => "a token newer than the store was presented",
        EndReason::StoreRestored => "the store was restored",
        EndReason::TooManySessions => "too many sessions of the user",
        EndReason::GenerationsUsedUp => "no generation was left",
        EndReason::WrongPasswords => "too many wrong passwords",
    };
    words.to_owned()
}

const fn kind_words(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Api => "Application",
        SessionKind::Console => "Console",
    }
}

/// The session that a path names. What cannot be an id names none.
fn id_of(path: &str) -> Result<SessionId, Problem> {
    SessionId::parse(path).ok_or_else(|| Problem::new(Code::NotFound))
}

/// "1 session", "2 sessions".
fn sessions(count: u64) -> String {
    if count == 1 { "1 session".to_owned() } else { format!("{} sessions", grouped(count)) }
}

/// With a comma before every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups() {
        assert_eq!(sessions(1), "1 session");
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(sessions(number), format!("{text} sessions"));
        }
    }
}
