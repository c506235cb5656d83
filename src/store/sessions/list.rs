//! A list of sessions for people: by any filter, with its users, a bounded number of rows looked at.
//!
//! Sessions have two indexes and shall have no more, since each refresh writes all of them. Ids begin with the time, so
//! the order of ids is the order of creation. What neither index finds is looked for along one of them, for so many
//! sessions at a time; whoever asks is told where that ended.

use diesel::dsl::{InnerJoinQuerySource, sql};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Nullable, Text};

use super::SessionRow;
use super::filter::{BulkFilter, Condition, conditions};
use crate::domain::session::{Session, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::connection::AnyConnection;
use crate::store::error::impossible_row;
use crate::store::schema::{sessions, users};
use crate::store::users::UserRow;

/// Which states a list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StateFilter {
    /// Those that can be used.
    #[default]
    Live,
    /// Those that somebody or something has ended.
    Ended,
    /// Those whose time has run out.
    Expired,
    /// All of them.
    Any,
}

/// What is searched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    /// Which sessions.
    pub filter: BulkFilter,
    /// In which state at `now`.
    pub state: StateFilter,
    /// The time.
    pub now: Timestamp,
}

/// Which way to go along the ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the newest to the oldest.
    Older,
    /// From the oldest to the newest.
    Newer,
}

/// A session as a list shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// The username of whoever ended it, when it was somebody.
    pub ended_by: Option<String>,
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The sessions, in the direction of the search.
    pub rows: Vec<Listed>,
    /// The search ended here, and there are sessions behind it.
    pub looked_to: Option<SessionId>,
}

/// How many sessions match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// As many as were found.
    pub found: u64,
    /// Whether all sessions were looked at: there may be more otherwise.
    pub is_exact: bool,
}

type WithUsers = InnerJoinQuerySource<sessions::table, users::table>;

/// The part of the ids that is looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    above: Option<SessionId>,
    below: Option<SessionId>,
}

impl Search {
    /// Whether each session matches, so that there is nothing to look for.
    fn is_everything(&self) -> bool {
        self.filter == BulkFilter::default() && self.state == StateFilter::Any
    }

    /// The ids that sessions of the filter can have, from `from` on.
    fn span(&self, direction: Direction, from: Option<SessionId>) -> Span {
        let since = self.filter.created_since.map(SessionId::first_of);
        let before = self.filter.created_before.map(SessionId::last_of);
        match direction {
            Direction::Older => Span { above: since, below: from.into_iter().chain(before).min() },
            Direction::Newer => Span { above: from.into_iter().chain(since).max(), below: before },
        }
    }
}

impl Span {
    /// This as far as `edge`.
    fn up_to(self, edge: Option<SessionId>, direction: Direction) -> Self {
        match direction {
            Direction::Older => Self { above: edge.or(self.above), ..self },
            Direction::Newer => Self { below: edge.or(self.below), ..self },
        }
    }
}

/// The conditions of a search within a span.
///
/// Whoever asks for a user's sessions wants the index by user. Its second column is the time, so the span is said in
/// times; the order of ids is hidden from planners, who would otherwise walk through everybody's sessions for it.
macro_rules! all_conditions {
    ($source:ty, $search:expr, $span:expr, $connection:expr) => {{
        let (search, span): (&Search, Span) = ($search, $span);
        let mut all: Vec<Condition<$source>> = conditions!($source, &search.filter, $connection);
        if let Some(role) = search.filter.role {
            // No planner turns this into reading all users.
            let role_of = sql::<Bool>("(SELECT r.role FROM users AS r WHERE r.id = sessions.user_id) = ");
            all.push(Box::new(role_of.bind::<Text, _>(role.as_str().to_owned())));
        }
        let now = search.now.as_micros();
        match search.state {
            StateFilter::Any => {}
            StateFilter::Live => {
                all.push(Box::new(sessions::ended_at.is_null()));
                all.push(Box::new(sessions::idle_expires_at.gt(now)));
                all.push(Box::new(sessions::expires_at.gt(now)));
            }
            StateFilter::Ended => all.push(Box::new(sessions::ended_at.is_not_null())),
            StateFilter::Expired => {
                all.push(Box::new(sessions::ended_at.is_null()));
                all.push(Box::new(sessions::idle_expires_at.le(now).or(sessions::expires_at.le(now))));
            }
        }
        if search.filter.user_id.is_some() {
            for (edge, condition) in [(span.above, " > "), (span.below, " < ")] {
                let Some(edge) = edge else { continue };
                let beyond = sql::<Bool>(&format!("coalesce(sessions.id, sessions.id){condition}"));
                all.push(Box::new(beyond.bind::<Binary, _>(edge.as_bytes().to_vec())));
            }
            if let Some(above) = span.above {
                all.push(Box::new(sessions::created_at.ge(above.time().as_micros())));
            }
            if let Some(below) = span.below {
                all.push(Box::new(sessions::created_at.lt(below.time().as_micros() + 1_000)));
            }
        } else {
            if let Some(above) = span.above {
                all.push(Box::new(sessions::id.gt(above.as_bytes().to_vec())));
            }
            if let Some(below) = span.below {
                all.push(Box::new(sessions::id.lt(below.as_bytes().to_vec())));
            }
        }
        all
    }};
}

/// Up to `limit` sessions behind `from` in one direction, of the next `look_at` that there are.
pub fn search(
    connection: &mut AnyConnection,
    search: &Search,
    direction: Direction,
    from: Option<SessionId>,
    limit: i64,
    look_at: i64,
) -> QueryResult<Found> {
    let span = search.span(direction, from);
    let edge = if search.is_everything() { None } else { edge(connection, search, span, direction, look_at)? };
    let span = span.up_to(edge, direction);
    let mut query = sessions::table
        .inner_join(users::table)
        .select((
            SessionRow::as_select(),
            UserRow::as_select(),
            sql::<Nullable<Text>>("(SELECT b.username FROM users AS b WHERE b.id = sessions.ended_by)"),
        ))
        .limit(limit)
        .into_boxed();
    for condition in all_conditions!(WithUsers, search, span, connection) {
        query = query.filter(condition);
    }
    query = match (search.filter.user_id.is_some(), direction) {
        (false, Direction::Older) => query.order(sessions::id.desc()),
        (false, Direction::Newer) => query.order(sessions::id.asc()),
        (true, Direction::Older) => query.order(sql::<Binary>("coalesce(sessions.id, sessions.id) DESC")),
        (true, Direction::Newer) => query.order(sql::<Binary>("coalesce(sessions.id, sessions.id)")),
    };
    let rows: Vec<(SessionRow, UserRow, Option<String>)> = query.load(connection)?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= limit);
    let listed = |(session, user, ended_by): (SessionRow, UserRow, Option<String>)| {
        Ok(Listed { session: session.try_into()?, user: user.try_into()?, ended_by })
    };
    let rows = rows.into_iter().map(listed).collect::<QueryResult<_>>()?;
    Ok(Found { rows, looked_to: edge.filter(|_| !is_full) })
}

/// How many of the newest `look_at` sessions match.
pub fn tally(connection: &mut AnyConnection, search: &Search, look_at: i64) -> QueryResult<Tally> {
    let span = search.span(Direction::Older, None);
    let edge = edge(connection, search, span, Direction::Older, look_at)?;
    let mut query = sessions::table.count().into_boxed();
    for condition in all_conditions!(sessions::table, search, span.up_to(edge, Direction::Older), connection) {
        query = query.filter(condition);
    }
    let found: i64 = query.get_result(connection)?;
    Ok(Tally { found: u64::try_from(found).unwrap_or_default(), is_exact: edge.is_none() })
}

/// Where `look_at` sessions of the span have been looked at, if there are more behind. All that began in the same
/// millisecond are on the same side of it.
fn edge(
    connection: &mut AnyConnection,
    search: &Search,
    span: Span,
    direction: Direction,
    look_at: i64,
) -> QueryResult<Option<SessionId>> {
    let mut query = sessions::table.select(sessions::id).offset(look_at - 1).limit(2).into_boxed();
    match search.filter.user_id {
        None => {
            if let Some(above) = span.above {
                query = query.filter(sessions::id.gt(above.as_bytes().to_vec()));
            }
            if let Some(below) = span.below {
                query = query.filter(sessions::id.lt(below.as_bytes().to_vec()));
            }
            query = match direction {
                Direction::Older => query.order(sessions::id.desc()),
                Direction::Newer => query.order(sessions::id.asc()),
            };
        }
        Some(user) => {
            query = query.filter(sessions::user_id.eq(user.get()));
            if let Some(above) = span.above {
                query = query.filter(sessions::created_at.ge(above.time().as_micros()));
            }
            if let Some(below) = span.below {
                query = query.filter(sessions::created_at.lt(below.time().as_micros() + 1_000));
            }
            query = match direction {
                Direction::Older => query.order(sessions::created_at.desc()),
                Direction::Newer => query.order(sessions::created_at.asc()),
            };
        }
    }
    let ids: Vec<Vec<u8>> = query.load(connection)?;
    let [last, _] = ids.as_slice() else { return Ok(None) };
    let last = <[u8; 16]>::try_from(last.as_slice())
        .map(SessionId::from_bytes)
        .map_err(|_| impossible_row("sessions", format!("{last:02x?}"), "the id is not 16 bytes"))?;
    Ok(Some(match direction {
        Direction::Older => SessionId::first_of(last.time()),
        Direction::Newer => SessionId::last_of(last.time()),
    }))
}
