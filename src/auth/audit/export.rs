//! The audit trail on its way to elsewhere: a batch at a time, the oldest first, as NDJSON or CSV.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::list::{AuditEvent, EventQuery, NamedUser, find};
use crate::auth::Auth;
use crate::auth::failure::Failure;
use crate::domain::csv::cell;
use crate::domain::timestamp::Timestamp;
use crate::store::audit_events::{Direction, EventKey};

/// How many events are read at once.
const BATCH: i64 = 500;

/// How an export is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// An object a line.
    Ndjson,
    /// A table with a heading (RFC 4180).
    Csv,
}

/// An export under way. It ends with what had happened when it began.
#[derive(Debug)]
pub struct Export {
    query: EventQuery,
    behind: Option<EventKey>,
    is_done: bool,
}

impl Export {
    /// An export of the events that the query means.
    pub fn begin(auth: &Auth, query: EventQuery) -> Self {
        let end: Timestamp = auth.now().after(Duration::from_micros(1));
        let to = query.to.map_or(end, |to| to.min(end));
        Self { query: EventQuery { to: Some(to), ..query }, behind: None, is_done: false }
    }

    /// The next events; none at the end.
    pub async fn next(&mut self, auth: &Auth) -> Result<Vec<AuditEvent>, Failure> {
        // Where hardly any event is what is asked for, there may be none among those of one look.
        while !self.is_done {
            let (query, behind) = (self.query.clone(), self.behind);
            let (events, looked_to) =
                auth.read(move |connection| find(connection, &query, Direction::Newer, behind, BATCH)).await?;
            let is_full = i64::try_from(events.len()).is_ok_and(|found| found >= BATCH);
            let last = events.last().map(|event| EventKey { occurred_at: event.occurred_at, id: event.id });
            self.behind = looked_to.or(last);
            self.is_done = !is_full && looked_to.is_none();
            if !events.is_empty() {
                return Ok(events);
            }
        }
        Ok(Vec::new())
    }
}

impl Format {
    /// What stands before the first event.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Ndjson => "",
            Self::Csv => {
                "id,occurredAt,kind,result,severity,actorKind,actorId,actor,subjectId,subject,sessionId,address,\
                 userAgent,requestId,detail,sealNumber,sealDigest,clientId\r\n"
            }
        }
    }

    /// One event, with the end of its line.
    pub fn line(self, event: &AuditEvent) -> String {
        match self {
            Self::Ndjson => format!("{}\n", to_json(event)),
            Self::Csv => csv(event),
        }
    }
}

/// An event as the API and the NDJSON export have it.
pub fn to_json(event: &AuditEvent) -> Value {
    let user =
        |user: &Option<NamedUser>| user.as_ref().map(|user| json!({ "id": user.id.get(), "username": user.username }));
    json!({
        "id": event.id,
        "occurredAt": event.occurred_at.to_string(),
        "kind": event.kind,
        "result": event.result,
        "severity": event.severity,
        "actorKind": event.actor_kind,
        "actor": user(&event.actor),
        "subject": user(&event.subject),
        "sessionId": event.session_id.map(|id| id.to_string()),
        "address": event.address,
        "userAgent": event.user_agent,
        "requestId": event.request_id,
        "detail": event.detail,
        "sealNumber": event.seal_number,
        "sealDigest": event.seal_digest.map(|digest| hex(&digest)),
        "clientId": event.client_id.map(|client| client.to_string()),
    })
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn csv(event: &AuditEvent) -> String {
    let id = |user: &Option<NamedUser>| user.as_ref().map(|user| user.id.to_string()).unwrap_or_default();
    let name = |user: &Option<NamedUser>| user.as_ref().and_then(|user| user.username.clone()).unwrap_or_default();
    let cells = [
        event.id.to_string(),
        event.occurred_at.to_string(),
        event.kind.clone(),
        event.result.clone(),
        event.severity.clone(),
        event.actor_kind.clone(),
        id(&event.actor),
        name(&event.actor),
        id(&event.subject),
        name(&event.subject),
        event.session_id.map(|id| id.to_string()).unwrap_or_default(),
        event.address.map(|address| address.to_string()).unwrap_or_default(),
        event.user_agent.clone().unwrap_or_default(),
        event.request_id.clone().unwrap_or_default(),
        event.detail.to_string(),
        event.seal_number.map(|number| number.to_string()).unwrap_or_default(),
        event.seal_digest.map(|digest| hex(&digest)).unwrap_or_default(),
        event.client_id.map(|client| client.to_string()).unwrap_or_default(),
    ];
    let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_lower_case() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
