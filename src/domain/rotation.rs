//! What presenting a genuine refresh token means: the whole rule, without a database.

use std::time::Duration;

use crate::domain::session::{EndReason, Generation, Session, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserStatus};

/// The limits that rotation goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotationRules {
    /// How long a session lives without being refreshed.
    pub idle_life: Duration,
    /// How long after a rotation the direct parent still gets the same successor; zero switches that off.
    pub grace: Duration,
    /// How often a session may rotate within [`RATE_WINDOW`]; `None` is without limit.
    pub max_rotations_per_window: Option<u32>,
}

/// The time over which rotations of one session are counted.
pub const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What a genuine token of generation `n` is worth, in the order in which refusals are decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is the current token: spend it.
    Rotate,
    /// It is the direct parent within the grace window: the answer is the successor that exists already.
    RepeatSuccessor,
    /// The session has been ended.
    SessionRevoked,
    /// The user may not sign in.
    AccountDisabled,
    /// The idle or the absolute life has run out.
    Expired,
    /// It was spent before: end the session, theft is assumed (RFC 9700 §4.14.2).
    Reused,
    /// It is newer than the store: the store went back in time; end the session.
    FromTheFuture,
    /// The session has no generation left: end it.
    UsedUp,
    /// It is current, but the session rotates too often; it can be used again after this time.
    TooFrequent {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Judges a token whose tag and nonce are genuine.
pub fn judge(session: &Session, user: &User, presented: Generation, now: Timestamp, rules: &RotationRules) -> Verdict {
    match (session.state, user.status) {
        // Disabling an account ends its sessions; while it lasts, the holder learns the cause and not the effect.
        (SessionState::Ended { reason: EndReason::AccountDisabled, .. }, UserStatus::Disabled { .. }) => {
            return Verdict::AccountDisabled;
        }
        (SessionState::Ended { .. }, _) => return Verdict::SessionRevoked,
        (SessionState::Open, UserStatus::Active) => {}
        (SessionState::Open, _) => return Verdict::AccountDisabled,
    }
    if session.is_expired(now) {
        return Verdict::Expired;
    }
    if presented > session.generation {
        return Verdict::FromTheFuture;
    }
    if presented == session.generation {
        return judge_current(session, now, rules);
    }
    if presented.is_parent_of(session.generation) && within_grace(session, now, rules) {
        return Verdict::RepeatSuccessor;
    }
    Verdict::Reused
}

fn judge_current(session: &Session, now: Timestamp, rules: &RotationRules) -> Verdict {
    if session.generation == Generation::LAST {
        return Verdict::UsedUp;
    }
    if let Some(limit) = rules.max_rotations_per_window {
        let elapsed = now.since(session.window_started_at);
        let rotated = session.generation.get().saturating_sub(session.window_generation.get());
        if elapsed < RATE_WINDOW && rotated >= limit {
            return Verdict::TooFrequent { retry_after: RATE_WINDOW.saturating_sub(elapsed) };
        }
    }
    Verdict::Rotate
}

/// The window is half open: with a grace of 30 s, a token spent exactly 30 s ago is outside it. A clock that
/// went back (another instance's may be behind) counts as no time passed.
fn within_grace(session: &Session, now: Timestamp, rules: &RotationRules) -> bool {
    now.since(session.rotated_at) < rules.grace
}
