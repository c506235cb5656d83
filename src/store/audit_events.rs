//! The table `audit_events`: what happened, written in the transaction in which it happened. Append-only.

use diesel::prelude::*;

use super::address;
use super::connection::AnyConnection;
use super::schema::audit_events;
use crate::domain::client::Client;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

/// What is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A refresh token that had been replaced was presented again, and its session was ended.
    ReuseDetected,
    /// A refresh token newer than the store was presented, and its session was ended.
    StoreRolledBack,
}

impl Kind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReuseDetected => "session.reuse_detected",
            Self::StoreRolledBack => "session.store_rolled_back",
        }
    }

    const fn severity(self) -> &'static str {
        match self {
            Self::ReuseDetected | Self::StoreRolledBack => "critical",
        }
    }
}

/// An event to be recorded.
#[derive(Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: Kind,
    /// When.
    pub occurred_at: Timestamp,
    /// Whose account it concerns.
    pub subject: UserId,
    /// Which session it concerns.
    pub session: SessionId,
    /// Who caused it.
    pub client: &'a Client,
    /// Facts for people, as a JSON object; no secret.
    pub detail: String,
}

/// Appends an event.
pub fn record(connection: &mut AnyConnection, event: &Event<'_>) -> QueryResult<()> {
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::occurred_at.eq(event.occurred_at.as_micros()),
            audit_events::kind.eq(event.kind.as_str()),
            audit_events::severity.eq(event.kind.severity()),
            audit_events::subject_user_id.eq(event.subject.get()),
            audit_events::session_id.eq(event.session.as_bytes().as_slice()),
            audit_events::ip.eq(event.client.address().map(address::to_bytes)),
            audit_events::user_agent.eq(event.client.user_agent()),
            audit_events::request_id.eq(event.client.request_id().map(|id| id.to_string())),
            audit_events::detail.eq(&event.detail),
        ))
        .execute(connection)
        .map(|_| ())
}

/// How many events of a kind a session has.
pub fn count(connection: &mut AnyConnection, kind: Kind, session: SessionId) -> QueryResult<i64> {
    audit_events::table
        .filter(audit_events::kind.eq(kind.as_str()))
        .filter(audit_events::session_id.eq(session.as_bytes().as_slice()))
        .count()
        .get_result(connection)
}
