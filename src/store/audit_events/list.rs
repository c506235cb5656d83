//! Finding events: each filter goes through an index, and an empty answer costs as little as a full one.
//!
//! Planners guess badly where one part of a filter is rare and another is not. So the part to go by is chosen here, by
//! a look at how many events it has, and the others are written so that no planner goes by them. Where all have many,
//! so many are looked at; whoever asks is told where that ended.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use ipnet::IpNet;
use uuid::Uuid;

use super::StoredEvent;
use super::part::{Part, Use};
use super::statement::Statement;
use crate::domain::audit::Kind;
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::connection::AnyConnection;

/// How many events of one part a page looks at. A part that has fewer is looked at to its end.
pub const LOOK_AT: i64 = 5_000;
/// Of more kinds than these together, each would be looked at too little.
const FEW_KINDS: usize = 4;

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
    /// The row's number, which tells apart what happened at once. Beyond all of them, what happened at once is on one
    /// side.
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

impl Direction {
    const fn order(self) -> &'static str {
        match self {
            Self::Older => "DESC",
            Self::Newer => "ASC",
        }
    }
}

/// An event, and the usernames of who did it and whom it concerns as they are now.
#[derive(Clone, PartialEq, Eq, Debug, Queryable)]
pub struct ListedEvent {
    /// The event.
    pub event: StoredEvent,
    /// `None` when nobody did it, or the account was removed for good.
    pub actor: Option<String>,
    /// Likewise.
    pub subject: Option<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The events, in the direction.
    pub events: Vec<ListedEvent>,
    /// The search ended here, and there may be events behind it.
    pub looked_to: Option<EventKey>,
}

/// In the order of [`StoredEvent`]'s fields.
const COLUMNS: [&str; 16] = [
    "id",
    "occurred_at",
    "kind",
    "severity",
    "result",
    "actor_kind",
    "actor_user_id",
    "subject_user_id",
    "session_id",
    "ip",
    "user_agent",
    "request_id",
    "detail",
    "seal_number",
    "seal_digest",
    "client_id",
];
type EventColumns = (
    BigInt,
    BigInt,
    Text,
    Text,
    Text,
    Text,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Binary>,
    Nullable<Binary>,
    Nullable<Text>,
    Nullable<Text>,
    Text,
    Nullable<BigInt>,
    Nullable<Binary>,
    Nullable<Text>,
);

/// Up to `limit` events in one direction from a key; without one, from the newest or the oldest. Two statements.
pub fn list(
    connection: &mut AnyConnection,
    filter: &EventFilter,
    direction: Direction,
    from: Option<EventKey>,
    limit: i64,
) -> QueryResult<Found> {
    let parts = Part::of(filter);
    let range = Range { direction, from, since: filter.from, until: filter.to, edge: None };
    let way = choose(connection, &parts, &range)?;
    let range = Range { edge: way.edge, ..range };
    let mut events: Vec<ListedEvent> = listed(&parts, way.along, &range, limit).load(connection)?;
    events.sort_unstable_by_key(|listed| (listed.event.occurred_at, listed.event.id));
    if direction == Direction::Older {
        events.reverse();
    }
    let is_full = i64::try_from(events.len()).is_ok_and(|found| found >= limit);
    let id = match direction {
        Direction::Older => i64::MIN,
        Direction::Newer => i64::MAX,
    };
    let looked_to = way.edge.filter(|_| !is_full);
    let looked_to = looked_to.map(|edge| EventKey { occurred_at: Timestamp::from_micros(edge), id });
    Ok(Found { events, looked_to })
}

struct Range {
    direction: Direction,
    from: Option<EventKey>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// When the last of those happened that are looked at.
    edge: Option<i64>,
}

impl Range {
    fn push<Row>(&self, out: &mut Statement<Row>) {
        if let Some(since) = self.since {
            out.sql(" AND occurred_at >= ").number(since.as_micros());
        }
        if let Some(until) = self.until {
            out.sql(" AND occurred_at < ").number(until.as_micros());
        }
        let (behind, as_far_as) = match self.direction {
            Direction::Older => ("<", ">="),
            Direction::Newer => (">", "<="),
        };
        if let Some(key) = self.from {
            out.sql(&format!(" AND (occurred_at, id) {behind} ("));
            out.number(key.occurred_at.as_micros()).sql(", ").number(key.id).sql(")");
        }
        if let Some(edge) = self.edge {
            out.sql(&format!(" AND occurred_at {as_far_as} ")).number(edge);
        }
    }

    fn order(&self) -> String {
        let order = self.direction.order();
        format!(" ORDER BY occurred_at {order}, id {order}")
    }
}

/// What to go by.
struct Way {
    /// The part whose index it is; without one, it is the time.
    along: Option<usize>,
    /// Where to stop, unless there are few enough for all of them to be looked at.
    edge: Option<i64>,
}

/// What a look at one walk found: the number of its part, how many events it has ahead, up to a limit, and when the last
/// of these happened.
type Look = (i64, i64, Option<i64>);

/// The part that has the fewest events ahead. Where all have many, the first whose events are in order; those of a
/// network and of many kinds are met soon enough on the way through time.
fn choose(connection: &mut AnyConnection, parts: &[Part], range: &Range) -> QueryResult<Way> {
    match parts {
        [] => return Ok(Way { along: None, edge: None }),
        [part] if part.is_in_order() => return Ok(Way { along: Some(0), edge: None }),
        _ => {}
    }
    let looks: Vec<Look> = looks(parts, range).load(connection)?;
    // The time is the part behind the others.
    let of = |index: usize| looks.iter().filter(move |(part, ..)| usize::try_from(*part) == Ok(index));
    let limit = |index: usize| parts.get(index).map_or(LOOK_AT, Part::limit);
    let edge = |index: usize| {
        let edges = of(index).filter(|(_, found, _)| *found >= limit(index)).filter_map(|(_, _, edge)| *edge);
        match range.direction {
            Direction::Older => edges.max(),
            Direction::Newer => edges.min(),
        }
    };
    let found = |index: usize| of(index).map(|(_, found, _)| found).sum::<i64>();
    let few = (0..=parts.len()).filter(|index| edge(*index).is_none()).min_by_key(|index| found(*index));
    let many = || parts.iter().position(|part| part.is_in_order() && part.walks().len() <= FEW_KINDS);
    let index = few.or_else(many).unwrap_or(parts.len());
    Ok(Way { along: Some(index).filter(|index| *index < parts.len()), edge: edge(index) })
}

fn looks(parts: &[Part], range: &Range) -> Statement<(BigInt, BigInt, Nullable<BigInt>)> {
    let last = match range.direction {
        Direction::Older => "min",
        Direction::Newer => "max",
    };
    let mut out = Statement::new();
    let begin = |out: &mut Statement<_>, index: usize| {
        let joint = if out.is_empty() { "" } else { " UNION ALL " };
        out.sql(&format!(
            "{joint}SELECT CAST({index} AS BIGINT) AS part, count(*) AS found, {last}(occurred_at) AS edge"
        ));
        out.sql(" FROM (SELECT occurred_at FROM audit_events WHERE TRUE");
    };
    for (index, part) in parts.iter().enumerate() {
        for walk in part.walks() {
            begin(&mut out, index);
            walk.push(&mut out, Use::Index);
            if part.is_in_order() {
                range.push(&mut out);
                out.sql(&range.order());
            } else {
                // How many of them are in the range is not said without a look at all of them.
                out.sql(" ORDER BY ip");
            }
            out.sql(&format!(" LIMIT {}) AS w", part.limit()));
        }
    }
    begin(&mut out, parts.len());
    range.push(&mut out);
    out.sql(&format!("{} LIMIT {LOOK_AT}) AS w", range.order()));
    out
}

/// The events that are in the range and satisfy all parts, found along one of them, with the names of their users.
fn listed(
    parts: &[Part],
    along: Option<usize>,
    range: &Range,
    limit: i64,
) -> Statement<(EventColumns, Nullable<Text>, Nullable<Text>)> {
    let mut out = Statement::new();
    let columns = COLUMNS.map(|column| format!("e.{column}")).join(", ");
    out.sql(&format!("SELECT {columns}, a.username, s.username FROM ("));
    let part = along.and_then(|index| parts.get(index));
    // A walk through time is one without a part.
    let walks = part.map_or_else(|| vec![None], |part| part.walks().into_iter().map(Some).collect());
    let is_sorted = part.is_none_or(Part::is_in_order);
    if walks.len() > 1 {
        out.sql("SELECT id FROM (");
    }
    for (number, walk) in walks.iter().enumerate() {
        match (number, walks.len()) {
            (_, 1) => out.sql("SELECT id"),
            (0, _) => out.sql("SELECT * FROM (SELECT occurred_at, id"),
            _ => out.sql(" UNION ALL SELECT * FROM (SELECT occurred_at, id"),
        };
        out.sql(" FROM audit_events WHERE TRUE");
        if let Some(walk) = walk {
            walk.push(&mut out, Use::Index);
        }
        range.push(&mut out);
        for (_, other) in parts.iter().enumerate().filter(|(index, _)| Some(*index) != along) {
            other.push(&mut out, Use::Filter);
        }
        if is_sorted {
            out.sql(&range.order());
        } else {
            // Addresses of a network are in the index by address first: the few are sorted. A sum is in no index.
            let order = range.direction.order();
            out.sql(&format!(" ORDER BY occurred_at + 0 {order}, id {order}"));
        }
        out.sql(&format!(" LIMIT {limit}"));
        if walks.len() > 1 {
            out.sql(&format!(") AS w{number}"));
        }
    }
    if walks.len() > 1 {
        out.sql(&format!(") AS w{} LIMIT {limit}", range.order()));
    }
    out.sql(
        ") AS k CROSS JOIN audit_events AS e LEFT JOIN users AS a ON a.id = e.actor_user_id \
         LEFT JOIN users AS s ON s.id = e.subject_user_id WHERE e.id = k.id",
    );
    out
}
