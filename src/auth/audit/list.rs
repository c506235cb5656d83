//! Looking at the audit trail, for admins and operators.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use uuid::Uuid;

use crate::auth::Auth;
use crate::auth::cursor::{self, CursorKey};
use crate::auth::login::key_of;
use crate::auth::users::ListError;
use crate::domain::audit::{Kind, Outcome};
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::QueryResult;
pub use crate::store::audit_events::LOOK_AT;
use crate::store::audit_events::{self, Direction, EventFilter, EventKey, ListedEvent};
use crate::store::connection::AnyConnection;
use crate::store::users::{self, Key};

/// Which events are asked for; every part that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Who did it: an id, a username or an e-mail address. A name of digits is an id.
    pub actor: Option<String>,
    /// Whom it concerns, named likewise.
    pub subject: Option<String>,
    /// Which session it concerns.
    pub session: Option<SessionId>,
    /// Which registered client did it, or is concerned.
    pub client: Option<ClientId>,
    /// What happened.
    pub kinds: Option<Vec<Kind>>,
    /// What came of it.
    pub result: Option<Outcome>,
    /// From where: an address, or a network.
    pub network: Option<IpNet>,
    /// In which request.
    pub request_id: Option<Uuid>,
    /// From when on.
    pub from: Option<Timestamp>,
    /// Until before when.
    pub to: Option<Timestamp>,
}

/// A user whom an event names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedUser {
    /// The id, which stays when the account is gone.
    pub id: UserId,
    /// The username as it is now; `None` when the account was removed for good.
    pub username: Option<String>,
}

/// An event for people to read.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// The row's number.
    pub id: i64,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened: the name of a kind.
    pub kind: String,
    /// What came of it.
    pub result: String,
    /// How much it matters.
    pub severity: String,
    /// What sort of actor it is put down to.
    pub actor_kind: String,
    /// The user who acted, if one did.
    pub actor: Option<NamedUser>,
    /// Whom it concerns, if anybody.
    pub subject: Option<NamedUser>,
    /// Which session it concerns, if one.
    pub session_id: Option<SessionId>,
    /// Which registered client acted, or is concerned.
    pub client_id: Option<ClientId>,
    /// From where.
    pub address: Option<IpAddr>,
    /// With what.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Facts for people.
    pub detail: Value,
    /// Its place in the chain, once it has one.
    pub seal_number: Option<i64>,
    /// The digest over it and all before it.
    pub seal_digest: Option<[u8; 32]>,
}

impl AuditEvent {
    fn key(&self) -> EventKey {
        EventKey { occurred_at: self.occurred_at, id: self.id }
    }
}

/// A page of events, the newest first, and the cursors of its neighbours.
#[derive(Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// Where older events follow.
    pub next: Option<String>,
    /// Where newer events follow.
    pub previous: Option<String>,
    /// When this page is not full because only so many were looked at: to when, in the direction of the page.
    pub looked_to: Option<Timestamp>,
}

/// A place between two events, and which way to go from there.
pub(in crate::auth) struct Place(Direction, EventKey);

impl CursorKey for Place {
    const LIST: u8 = b'a';

    fn to_bytes(&self) -> Vec<u8> {
        let direction = match self.0 {
            Direction::Older => b'o',
            Direction::Newer => b'n',
        };
        let mut bytes = vec![direction];
        bytes.extend(self.1.occurred_at.as_micros().to_be_bytes());
        bytes.extend(self.1.id.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (direction, key) = bytes.split_first()?;
        let direction = match direction {
            b'o' => Direction::Older,
            b'n' => Direction::Newer,
            _ => return None,
        };
        let (time, id) = key.split_first_chunk::<8>()?;
        let occurred_at = Timestamp::from_micros(i64::from_be_bytes(*time));
        Some(Self(direction, EventKey { occurred_at, id: i64::from_be_bytes(id.try_into().ok()?) }))
    }
}

/// A page of events, the newest first: three statements at most. A name that nobody has finds nothing.
pub async fn list_events(
    auth: &Auth,
    query: EventQuery,
    cursor: Option<&str>,
    limit: u32,
) -> Result<EventPage, ListError> {
    let place = cursor.map(|cursor| cursor::decode::<Place>(&auth.keyring, cursor)).transpose()?;
    let direction = place.as_ref().map_or(Direction::Older, |place| place.0);
    let from = place.as_ref().map(|place| place.1);
    let (mut events, looked_to) =
        auth.read(move |connection| find(connection, &query, direction, from, i64::from(limit) + 1)).await?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = events.len() > size;
    events.truncate(size);
    // Where the page ends on the side that it was read to, and where it began. A page without events is left by way of
    // the one that led to it.
    let far = if more { events.last().map(AuditEvent::key) } else { looked_to };
    let near = from.map(|from| events.first().map_or_else(|| before(direction, from), AuditEvent::key));
    let (next, previous) = match direction {
        Direction::Older => (far, near),
        Direction::Newer => {
            events.reverse();
            (near, far)
        }
    };
    let place = |key: Option<EventKey>, direction| key.map(|key| cursor::encode(&auth.keyring, &Place(direction, key)));
    Ok(EventPage {
        events,
        next: place(next, Direction::Older),
        previous: place(previous, Direction::Newer),
        looked_to: looked_to.map(|key| key.occurred_at),
    })
}

/// The place in front of an event, for going back to it.
const fn before(direction: Direction, key: EventKey) -> EventKey {
    let id = match direction {
        Direction::Older => key.id.saturating_sub(1),
        Direction::Newer => key.id.saturating_add(1),
    };
    EventKey { id, ..key }
}

/// Up to `limit` events that the query means, in one direction, and where the search ended if that was not at the end.
pub(super) fn find(
    connection: &mut AnyConnection,
    query: &EventQuery,
    direction: Direction,
    from: Option<EventKey>,
    limit: i64,
) -> QueryResult<(Vec<AuditEvent>, Option<EventKey>)> {
    let Some(filter) = filter_of(connection, query)? else { return Ok((Vec::new(), None)) };
    let found = audit_events::list(connection, &filter, direction, from, limit)?;
    Ok((found.events.into_iter().map(read).collect::<QueryResult<_>>()?, found.looked_to))
}

/// `None` when nothing can be found, since nobody has a name or a kind never comes to a result.
fn filter_of(connection: &mut AnyConnection, query: &EventQuery) -> QueryResult<Option<EventFilter>> {
    let (Some(actor), Some(subject)) = (party(query.actor.as_deref()), party(query.subject.as_deref())) else {
        return Ok(None);
    };
    let keys: Vec<_> = [&actor, &subject].into_iter().filter_map(Party::key).cloned().collect();
    let known = if keys.is_empty() { Vec::new() } else { users::ids_of(connection, &keys)? };
    let (Some(actor), Some(subject)) = (actor.among(&known), subject.among(&known)) else { return Ok(None) };
    let kinds = match query.result {
        None => query.kinds.clone(),
        // What comes of an event is a matter of its kind.
        Some(result) => {
            let asked = query.kinds.as_deref().unwrap_or(&Kind::ALL);
            Some(asked.iter().copied().filter(|kind| kind.outcome() == result).collect())
        }
    };
    if kinds.as_ref().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    Ok(Some(EventFilter {
        actor,
        subject,
        session: query.session,
        client: query.client,
        kinds,
        network: query.network,
        request_id: query.request_id,
        from: query.from,
        to: query.to,
    }))
}

/// Whom a part of a query means.
enum Party {
    Anybody,
    /// An id is taken as it is: events outlive their users.
    Id(UserId),
    Named(Key),
}

impl Party {
    const fn key(&self) -> Option<&Key> {
        match self {
            Self::Named(key) => Some(key),
            Self::Anybody | Self::Id(_) => None,
        }
    }

    /// `None` when it is nobody.
    fn among(self, known: &[(Key, UserId)]) -> Option<Option<UserId>> {
        match self {
            Self::Anybody => Some(None),
            Self::Id(id) => Some(Some(id)),
            Self::Named(key) => known.iter().find(|(found, _)| *found == key).map(|(_, id)| Some(*id)),
        }
    }
}

/// `None` when nobody can have such a name.
fn party(name: Option<&str>) -> Option<Party> {
    let Some(name) = name else { return Some(Party::Anybody) };
    UserId::parse(name).map(Party::Id).or_else(|| key_of(name).map(Party::Named))
}

fn read(listed: ListedEvent) -> QueryResult<AuditEvent> {
    let ListedEvent { event, actor, subject } = listed;
    let user = |id: Option<i64>, username| UserId::new(id?).map(|id| NamedUser { id, username });
    Ok(AuditEvent {
        id: event.id,
        occurred_at: Timestamp::from_micros(event.occurred_at),
        address: event.address()?,
        actor: user(event.actor_user_id, actor),
        subject: user(event.subject_user_id, subject),
        session_id: event.session_id.and_then(|id| <[u8; 16]>::try_from(id).ok()).map(SessionId::from_bytes),
        client_id: event.client_id.as_deref().and_then(ClientId::parse),
        // What somebody changed beside the server may be no JSON; it is shown as it is, and the seal tells.
        detail: serde_json::from_str(&event.detail).unwrap_or(Value::String(event.detail)),
        kind: event.kind,
        result: event.result,
        severity: event.severity,
        actor_kind: event.actor_kind,
        user_agent: event.user_agent,
        request_id: event.request_id,
        seal_number: event.seal_number,
        seal_digest: event.seal_digest.and_then(|digest| digest.try_into().ok()),
    })
}

/// Reads a time of RFC 3339, or a day such as `2026-11-24` in a zone such as `+01:00` or `Z`, which begins then.
pub fn parse_from(text: &str, zone: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| begin_of_day(text, zone))
}

/// The same for the end of a time; a day is included.
pub fn parse_to(text: &str, zone: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Some(begin_of_day(text, zone)?.after(Duration::from_hours(24))))
}

fn begin_of_day(day: &str, zone: &str) -> Option<Timestamp> {
    if day.len() != "2026-11-24".len() {
        return None;
    }
    Timestamp::parse(&format!("{day}T00:00:00{zone}"))
}

/// Reads an address or a network.
pub fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_whole_in_its_zone() {
        let time = |text| Timestamp::parse(text).unwrap();
        assert_eq!(parse_from("2026-11-24", "Z"), Some(time("2026-11-24T00:00:00Z")));
        assert_eq!(parse_to("2026-11-24", "Z"), Some(time("2026-11-25T00:00:00Z")));
        assert_eq!(parse_from("2026-11-24", "+05:30"), Some(time("2026-11-23T18:30:00Z")));
        assert_eq!(parse_to("2026-11-24", "-08:00"), Some(time("2026-11-25T08:00:00Z")));
        assert_eq!(parse_to("2026-11-24T10:00:00+01:00", "Z"), Some(time("2026-11-24T09:00:00Z")));
        for wrong in ["", "2026-11-24T", "yesterday", "2026-02-30", "24.11.2026", "2026-1-1"] {
            assert_eq!(parse_from(wrong, "Z"), None, "{wrong}");
        }
        assert_eq!(parse_from("2026-11-24", "Europe/Berlin"), None);
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        assert_eq!(parse_network("::ffff:198.51.100.7"), "198.51.100.7/32".parse().ok());
        assert_eq!(parse_network("2001:db8::/32"), "2001:db8::/32".parse().ok());
        assert_eq!(parse_network("198.51.100.0/33"), None);
    }
}
