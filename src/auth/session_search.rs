//! Searching sessions by any filter, a bounded number of them at a time.
//!
//! The list says how far it has looked, and gives a cursor to look further.

use std::time::Duration;

use super::Auth;
use super::bulk_revocation::BulkFilter;
use super::cursor::{self, BadCursor};
use super::failure::Failure;
use super::users::ListError;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::store::sessions::{self, Direction, Search};
pub use crate::store::sessions::{Listed, StateFilter, Tally};

/// How many sessions one page looks at.
pub const LOOK_AT: u32 = 5_000;
/// How many sessions a count looks at.
pub const COUNT_OF: u32 = 50_000;

/// Which session a list begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// The one that was begun last.
    #[default]
    NewestFirst,
    /// The one that was begun first.
    OldestFirst,
}

/// From where a page goes on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum From {
    /// The list's beginning.
    #[default]
    Start,
    /// Behind this cursor.
    After(String),
    /// In front of this cursor.
    Before(String),
}

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct SessionSearch {
    /// Which sessions.
    pub filter: BulkFilter,
    /// In which state.
    pub state: StateFilter,
    /// In which order.
    pub order: Order,
    /// From where on.
    pub from: From,
    /// How many at most.
    pub limit: u32,
}

/// A page of what was found.
#[derive(Debug)]
pub struct SearchPage {
    /// The sessions, in the order that was asked for.
    pub items: Vec<Listed>,
    /// A cursor for the page in front of this one, if there may be one.
    pub previous: Option<String>,
    /// A cursor for the page behind this one, if there may be one.
    pub next: Option<String>,
    /// Whether this page is not full because only so many were looked at: to when, in the direction of the page.
    pub looked_to: Option<Timestamp>,
}

/// Finds a page of sessions.
pub async fn search_sessions(auth: &Auth, asked: SessionSearch) -> Result<SearchPage, ListError> {
    let (cursor, is_back) = match &asked.from {
        From::Start => (None, false),
        From::After(cursor) => (Some(decode(auth, cursor)?), false),
        From::Before(cursor) => (Some(decode(auth, cursor)?), true),
    };
    let direction = match (asked.order, is_back) {
        (Order::NewestFirst, false) | (Order::OldestFirst, true) => Direction::Older,
        (Order::OldestFirst, false) | (Order::NewestFirst, true) => Direction::Newer,
    };
    let search = Search { filter: asked.filter, state: asked.state, now: auth.now() };
    let (limit, look_at) = (i64::from(asked.limit) + 1, i64::from(LOOK_AT));
    let found = auth
        .read(move |connection| sessions::search(connection, &search, direction, cursor, limit, look_at))
        .await
        .map_err(ListError::Failed)?;

    let mut items = found.rows;
    let size = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let has_more = items.len() > size;
    items.truncate(size);
    // Where the page ends on the side that it was read to, and where it began.
    let far = if has_more { items.last().map(|row| row.session.id) } else { found.looked_to };
    let near = cursor.and_then(|cursor| items.first().map(|row| row.session.id).or(Some(cursor)));
    if is_back {
        items.reverse();
    }
    let (previous, next) = if is_back { (far, near) } else { (near, far) };
    let write = |id: SessionId| cursor::encode(&auth.keyring, &id);
    Ok(SearchPage {
        items,
        previous: previous.map(write),
        next: next.map(write),
        looked_to: found.looked_to.map(|id| id.time()),
    })
}

/// How many sessions match: all that do when there are not too many to look at.
pub async fn count_sessions(auth: &Auth, filter: BulkFilter, state: StateFilter) -> Result<Tally, Failure> {
    let search = Search { filter, state, now: auth.now() };
    auth.read(move |connection| sessions::tally(connection, &search, i64::from(COUNT_OF))).await
}

/// How long history is kept.
pub fn history_life(auth: &Auth) -> Duration {
    auth.policy.history_life
}

fn decode(auth: &Auth, cursor: &str) -> Result<SessionId, BadCursor> {
    cursor::decode(&auth.keyring, cursor)
}
