//! The picture of a session's rotations. It answers one question at one look: why was this user signed out?
//!
//! `story` tells it in words, `scene` lays it out, and the template draws it. All of them are pure.

mod scene;
mod story;
#[cfg(test)]
mod tests;

pub use scene::{Arc, Cross, End, Link, NARROW, Node, Scene, WIDE, lay_out};
pub use story::{Entry, ago, days, entries, summary};

use std::net::IpAddr;

use crate::auth::sessions::{Issued, SessionDetail};
use crate::domain::session::{Generation, Session, SessionState};
use crate::domain::timestamp::Timestamp;

/// What a picture is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The session.
    pub session: &'a Session,
    /// What is remembered of its generations, oldest first.
    pub history: &'a [Issued],
    /// The token that ended it, when one did.
    pub presented: Option<Generation>,
    /// From where it was ended.
    pub ended_ip: Option<IpAddr>,
    /// The username of whoever ended it.
    pub ended_by: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

impl<'a> Facts<'a> {
    /// The facts of a session.
    pub fn of(detail: &'a SessionDetail, now: Timestamp) -> Self {
        Self {
            session: &detail.session,
            history: &detail.history,
            presented: detail.presented,
            ended_ip: detail.ended_ip,
            ended_by: detail.ended_by.as_deref(),
            now,
        }
    }

    /// When the session ended or expired, and whether it was the time alone.
    fn end(&self) -> Option<(Timestamp, bool)> {
        match self.session.state {
            SessionState::Ended { at, .. } => Some((at, false)),
            SessionState::Open if self.session.is_expired(self.now) => {
                Some((self.session.idle_expires_at.min(self.session.expires_at), true))
            }
            SessionState::Open => None,
        }
    }
}
