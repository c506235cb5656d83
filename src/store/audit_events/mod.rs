//! The table `audit_events`: what happened, written in the transaction in which it happened. Append-only: a row gets
//! its seal later, and nothing else of it ever changes.

mod list;
mod part;
mod seal;
mod statement;

pub use list::{Direction, EventFilter, EventKey, Found, LOOK_AT, ListedEvent, list};
pub use seal::{
    Day, Head, begin_day, count_unsealed, days, days_before, end_of_seals, forget_days, give_seal, head, kept_from,
    move_head, prune, sealed_from, unsealed,
};

use diesel::prelude::*;
use serde_json::Value;

use super::connection::AnyConnection;
use super::schema::{audit_events, users};
use super::{address, journal};
pub use crate::domain::audit::{By, Kind};
use crate::domain::client::Client;
use crate::domain::registered_client::ClientId;
use crate::domain::security_event;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

/// An event to be recorded.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    kind: Kind,
    at: Timestamp,
    by: By,
    subject: Option<UserId>,
    session: Option<SessionId>,
    of_client: Option<ClientId>,
    client: &'a Client,
    detail: Value,
}

impl<'a> Event<'a> {
    /// Something that somebody did.
    pub fn new(kind: Kind, at: Timestamp, by: By, client: &'a Client) -> Self {
        let detail = Value::Object(serde_json::Map::new());
        Self { kind, at, by, subject: None, session: None, of_client: by.client_id(), client, detail }
    }

    /// Whose account it concerns.
    pub fn about(mut self, user: impl Into<Option<UserId>>) -> Self {
        self.subject = user.into();
        self
    }

    /// Which session it concerns.
    pub fn of_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Which registered client it concerns; the one that acts, unless this says so.
    pub fn of_client(mut self, client: ClientId) -> Self {
        self.of_client = Some(client);
        self
    }

    /// Facts for people, as a small JSON object; no secret, and nothing that somebody typed who proved nothing.
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    fn line(&self) -> journal::Line {
        let has_detail = self.detail.as_object().is_none_or(|detail| !detail.is_empty());
        journal::Line {
            event: security_event::name(self.kind),
            kind: Some(self.kind.as_str()),
            severity: self.kind.severity(),
            result: self.kind.outcome().as_str(),
            by: self.by,
            about: self.subject,
            session: self.session,
            of_client: self.of_client,
            client: self.client.clone(),
            detail: has_detail.then(|| self.detail.to_string()),
        }
    }
}

/// Appends an event. It is also written to the log when the transaction is committed.
pub fn record(connection: &mut AnyConnection, event: &Event<'_>) -> QueryResult<()> {
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::occurred_at.eq(event.at.as_micros()),
            audit_events::kind.eq(event.kind.as_str()),
            audit_events::severity.eq(event.kind.severity().as_str()),
            audit_events::result.eq(event.kind.outcome().as_str()),
            audit_events::actor_kind.eq(event.by.kind()),
            audit_events::actor_user_id.eq(event.by.user_id().map(UserId::get)),
            audit_events::subject_user_id.eq(event.subject.map(UserId::get)),
            audit_events::session_id.eq(event.session.map(|session| session.as_bytes().to_vec())),
            audit_events::ip.eq(event.client.address().map(address::to_bytes)),
            audit_events::user_agent.eq(event.client.user_agent()),
            audit_events::request_id.eq(event.client.request_id().map(|id| id.to_string())),
            audit_events::detail.eq(event.detail.to_string()),
            audit_events::client_id.eq(event.of_client.map(|client| client.to_string())),
        ))
        .execute(connection)?;
    journal::note(event.line());
    Ok(())
}

/// An event as it is stored, column by column: what a seal is made over.
#[derive(Clone, PartialEq, Eq, Debug, Queryable, Selectable)]
#[diesel(table_name = audit_events)]
pub struct StoredEvent {
    /// The row's number, in the order of insertion.
    pub id: i64,
    /// When it happened, in microseconds.
    pub occurred_at: i64,
    /// What happened.
    pub kind: String,
    /// How much it matters.
    pub severity: String,
    /// What came of it.
    pub result: String,
    /// What sort of actor it is put down to.
    pub actor_kind: String,
    /// The user who acted, if one did.
    pub actor_user_id: Option<i64>,
    /// Whose account it concerns.
    pub subject_user_id: Option<i64>,
    /// Which session it concerns.
    pub session_id: Option<Vec<u8>>,
    /// From where; 16 bytes.
    pub ip: Option<Vec<u8>>,
    /// With what.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Facts for people, a JSON object.
    pub detail: String,
    /// Its place in the chain, once it has one.
    pub seal_number: Option<i64>,
    /// The digest over it and all before it.
    pub seal_digest: Option<Vec<u8>>,
    /// Which registered client acted, or is concerned.
    pub client_id: Option<String>,
}

impl StoredEvent {
    /// The address again.
    pub fn address(&self) -> QueryResult<Option<std::net::IpAddr>> {
        address::from_bytes("audit_events", self.id, self.ip.clone())
    }
}

/// An event for the dashboard.
#[derive(Clone, PartialEq, Eq, Debug, Queryable)]
pub struct Newest {
    /// When it happened, in microseconds.
    pub occurred_at: i64,
    /// Which session it concerns.
    pub session_id: Option<Vec<u8>>,
    /// Whose account it concerns.
    pub subject_user_id: Option<i64>,
    /// The username as it is now; `None` when the account was removed for good.
    pub username: Option<String>,
}

/// The newest events of a kind since then, in one statement.
pub fn newest(connection: &mut AnyConnection, kind: Kind, since: Timestamp, limit: i64) -> QueryResult<Vec<Newest>> {
    audit_events::table
        .left_join(users::table.on(audit_events::subject_user_id.eq(users::id.nullable())))
        .filter(audit_events::kind.eq(kind.as_str()))
        .filter(audit_events::occurred_at.ge(since.as_micros()))
        .order((audit_events::occurred_at.desc(), audit_events::id.desc()))
        .limit(limit)
        .select((
            audit_events::occurred_at,
            audit_events::session_id,
            audit_events::subject_user_id,
            users::username.nullable(),
        ))
        .load(connection)
}

/// How many events of a kind a session has.
pub fn count(connection: &mut AnyConnection, kind: Kind, session: SessionId) -> QueryResult<i64> {
    audit_events::table
        .filter(audit_events::kind.eq(kind.as_str()))
        .filter(audit_events::session_id.eq(session.as_bytes().as_slice()))
        .count()
        .get_result(connection)
}
