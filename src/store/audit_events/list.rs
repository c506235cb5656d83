//! Finding events: each filter goes through an index, and an empty answer costs as little as a full one.
//!
//! Planners guess badly where one part of a filter is rare and another is not. So the part to go by is chosen here, by
//! a look at how many events it has, and the others are written so that no planner goes by them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Text};
use ipnet::IpNet;
use uuid::Uuid;

use super::StoredEvent;
use crate::domain::audit::Kind;
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::address;
use crate::store::connection::AnyConnection;
use crate::store::schema::audit_events;

/// A part of a filter that has more events than this is one to filter by, not to go by.
const MANY: i64 = 10_000;
/// A part that has no more than this is gone by without a look at the others.
const FEW: i64 = 1_000;

/// Which events are meant; every part that is given must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    /// Only what this user did.
    pub actor: Option<UserId>,
    /// Only what concerns this user.
    pub subject: Option<UserId>,
    /// Only what concerns this session.
    pub session: Option<SessionId>,
    /// Only what this registered client did, or what concerns it.
    pub client: Option<ClientId>,
    /// Only these kinds; without one there is nothing.
    pub kinds: Option<Vec<Kind>>,
    /// Only from this network.
    pub network: Option<IpNet>,
    /// Only of this request.
    pub request_id: Option<Uuid>,
    /// Only from this time on.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
}

/// What events are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EventKey {
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The row's number, which tells apart what happened at once.
    pub id: i64,
}

/// Which way to go from an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To what happened before it, the newest first.
    Older,
    /// To what happened after it, the oldest first.
    Newer,
}

type Condition =
    Box<dyn BoxableExpression<audit_events::table, <AnyConnection as Connection>::Backend, SqlType = Bool>>;
type Key = (i64, i64);

/// Up to `limit` events in one direction from a key; without one, from the newest or the oldest.
pub fn list(
    connection: &mut AnyConnection,
    filter: &EventFilter,
    direction: Direction,
    from: Option<EventKey>,
    limit: i64,
) -> QueryResult<Vec<StoredEvent>> {
    let range = Range { direction, from, since: filter.from, until: filter.to };
    let ids = keys(connection, filter, &range, limit)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut events: Vec<StoredEvent> = audit_events::table
        .filter(audit_events::id.eq_any(ids.iter().map(|(_, id)| *id).collect::<Vec<_>>()))
        .select(StoredEvent::as_select())
        .load(connection)?;
    events.sort_unstable_by_key(|event| (event.occurred_at, event.id));
    if direction == Direction::Older {
        events.reverse();
    }
    Ok(events)
}

struct Range {
    direction: Direction,
    from: Option<EventKey>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Range {
    fn conditions(&self) -> Vec<Condition> {
        let mut all: Vec<Condition> = Vec::new();
        if let Some(since) = self.since {
            all.push(Box::new(audit_events::occurred_at.ge(since.as_micros())));
        }
        if let Some(until) = self.until {
            all.push(Box::new(audit_events::occurred_at.lt(until.as_micros())));
        }
        if let Some(key) = self.from {
            let behind = match self.direction {
                Direction::Older => "(occurred_at, id) < (",
                Direction::Newer => "(occurred_at, id) > (",
            };
            let pair = sql::<Bool>(behind).bind::<BigInt, _>(key.occurred_at.as_micros()).sql(", ");
            all.push(Box::new(pair.bind::<BigInt, _>(key.id).sql(")")));
        }
        all
    }
}

/// A part of a filter, on one column.
#[derive(Clone)]
enum Part {
    Number(&'static str, i64),
    Bytes(&'static str, Vec<u8>),
    Text(&'static str, String),
    Network(Vec<u8>, Vec<u8>),
    Kinds(Vec<Kind>),
}

/// Whether an index may be used for a part, or must not be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Index,
    Filter,
}

impl Part {
    /// The parts of a filter, those first that have few events as a rule.
    fn of(filter: &EventFilter) -> Vec<Self> {
        let mut parts = Vec::new();
        parts.extend(filter.session.map(|session| Self::Bytes("session_id", session.as_bytes().to_vec())));
        parts.extend(filter.request_id.map(|id| Self::Text("request_id", id.to_string())));
        parts.extend(filter.client.map(|client| Self::Text("client_id", client.to_string())));
        parts.extend(filter.subject.map(|user| Self::Number("subject_user_id", user.get())));
        parts.extend(filter.actor.map(|user| Self::Number("actor_user_id", user.get())));
        parts.extend(filter.network.map(|network| {
            let (first, last) = (address::to_bytes(network.network()), address::to_bytes(network.broadcast()));
            if first == last { Self::Bytes("ip", first) } else { Self::Network(first, last) }
        }));
        parts.extend(filter.kinds.clone().map(Self::Kinds));
        parts
    }

    fn condition(&self, how: Use) -> Condition {
        let column = |name: &str| match how {
            Use::Index => name.to_owned(),
            Use::Filter => format!("coalesce({name}, {name})"),
        };
        match self {
            Self::Number(name, number) => {
                Box::new(sql::<Bool>(&format!("{} = ", column(name))).bind::<BigInt, _>(*number))
            }
            Self::Bytes(name, bytes) => {
                Box::new(sql::<Bool>(&format!("{} = ", column(name))).bind::<Binary, _>(bytes.clone()))
            }
            Self::Text(name, text) => {
                Box::new(sql::<Bool>(&format!("{} = ", column(name))).bind::<Text, _>(text.clone()))
            }
            Self::Network(first, last) => {
                let from = sql::<Bool>(&format!("{} >= ", column("ip"))).bind::<Binary, _>(first.clone());
                Box::new(from.sql(&format!(" AND {} <= ", column("ip"))).bind::<Binary, _>(last.clone()))
            }
            Self::Kinds(kinds) => {
                // The names are our own and have no quotes.
                let names: Vec<_> = kinds.iter().map(|kind| format!("'{}'", kind.as_str())).collect();
                match names.as_slice() {
                    [name] => Box::new(sql::<Bool>(&format!("{} = {name}", column("kind")))),
                    names => Box::new(sql::<Bool>(&format!("{} IN ({})", column("kind"), names.join(", ")))),
                }
            }
        }
    }

    /// The keys of this part alone, through its index, that also satisfy `others`.
    fn keys(
        &self,
        connection: &mut AnyConnection,
        range: &Range,
        others: &[Self],
        limit: i64,
    ) -> QueryResult<Vec<Key>> {
        let conditions = |part: &Self| {
            let mut all = range.conditions();
            all.push(part.condition(Use::Index));
            all.extend(others.iter().map(|other| other.condition(Use::Filter)));
            all
        };
        match self {
            // Each kind's events are in order, those of several are not: so each is asked by itself.
            Self::Kinds(kinds) => {
                let mut found = Vec::new();
                for kind in kinds {
                    let part = Self::Kinds(vec![*kind]);
                    found.extend(select(connection, conditions(&part), range.direction, Order::Indexed, limit)?);
                }
                found.sort_unstable();
                if range.direction == Direction::Older {
                    found.reverse();
                }
                found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                Ok(found)
            }
            // Addresses of a network are in the index by address first: what is few enough is sorted.
            Self::Network(..) => select(connection, conditions(self), range.direction, Order::Sorted, limit),
            _ => select(connection, conditions(self), range.direction, Order::Indexed, limit),
        }
    }

    /// How many events this part has in the range, as far as that is worth knowing.
    fn estimate(&self, connection: &mut AnyConnection, range: &Range) -> QueryResult<i64> {
        let range = Range { from: None, ..*range };
        let found = match self {
            Self::Network(..) => {
                let mut all = range.conditions();
                all.push(self.condition(Use::Index));
                let mut query = audit_events::table.select(audit_events::id).limit(MANY).into_boxed();
                for condition in all {
                    query = query.filter(condition);
                }
                query.order(audit_events::ip).load::<i64>(connection)?.len()
            }
            Self::Kinds(kinds) => {
                let mut found = 0;
                for kind in kinds {
                    if found < usize::try_from(MANY).unwrap_or(usize::MAX) {
                        found += Self::Kinds(vec![*kind]).keys(connection, &range, &[], MANY)?.len();
                    }
                }
                found
            }
            _ => self.keys(connection, &range, &[], MANY)?.len(),
        };
        Ok(i64::try_from(found).unwrap_or(i64::MAX))
    }
}

fn keys(connection: &mut AnyConnection, filter: &EventFilter, range: &Range, limit: i64) -> QueryResult<Vec<Key>> {
    let mut parts = Part::of(filter);
    let needs_a_look = parts.len() > 1 || matches!(parts.first(), Some(Part::Network(..)));
    let chosen = if needs_a_look { choose(connection, &parts, range)? } else { (!parts.is_empty()).then_some(0) };
    match chosen {
        Some(index) => {
            let part = parts.remove(index);
            part.keys(connection, range, &parts, limit)
        }
        None => {
            let mut conditions = range.conditions();
            conditions.extend(parts.iter().map(|part| part.condition(Use::Filter)));
            select(connection, conditions, range.direction, Order::Indexed, limit)
        }
    }
}

/// The first part with few events, or the one with the fewest. Where all have many, the first whose events are in order; a network that has many
/// is met soon enough on the way through time.
fn choose(connection: &mut AnyConnection, parts: &[Part], range: &Range) -> QueryResult<Option<usize>> {
    let mut fewest: Option<(i64, usize)> = None;
    for (index, part) in parts.iter().enumerate() {
        let estimate = part.estimate(connection, range)?;
        if estimate <= FEW {
            return Ok(Some(index));
        }
        if estimate < MANY && fewest.is_none_or(|(least, _)| estimate < least) {
            fewest = Some((estimate, index));
        }
    }
    let in_order = || parts.iter().position(|part| !matches!(part, Part::Network(..)));
    Ok(fewest.map(|(_, index)| index).or_else(in_order))
}

/// Whether an index gives the order, or the few rows are to be sorted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Indexed,
    Sorted,
}

fn select(
    connection: &mut AnyConnection,
    conditions: Vec<Condition>,
    direction: Direction,
    order: Order,
    limit: i64,
) -> QueryResult<Vec<Key>> {
    let mut query = audit_events::table.select((audit_events::occurred_at, audit_events::id)).limit(limit).into_boxed();
    for condition in conditions {
        query = query.filter(condition);
    }
    let (time, id) = (audit_events::occurred_at, audit_events::id);
    let query = match (order, direction) {
        (Order::Indexed, Direction::Older) => query.order((time.desc(), id.desc())),
        (Order::Indexed, Direction::Newer) => query.order((time, id)),
        // A sum is in no index.
        (Order::Sorted, Direction::Older) => query.order(((time + 0).desc(), id.desc())),
        (Order::Sorted, Direction::Newer) => query.order((time + 0, id)),
    };
    query.load(connection)
}
