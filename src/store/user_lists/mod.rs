//! Lists of users as people leaf through them: sorted, filtered, forwards and backwards.
//!
//! A list is one or two walks along an index, one behind the other. A walk looks at a bounded number of rows, so that a
//! page costs no more when hardly anybody is what is asked for; what it did not look at, the next page does.

mod statement;

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::sessions;
use super::users::{StatusFilter, UserFilter};
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use statement::{Along, Class, Range, Walk, Wanted};

/// How many rows a count looks at in the order of ids, in which they lie one beside the other.
const COUNTED_AMONG: i64 = 20_000;
/// Counting stops here.
pub const COUNTED: i64 = 10_000;

/// What a list is sorted by. Users who have it in common are sorted by id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortBy {
    /// When they were made, which is the order of their ids.
    Created,
    /// The username's key.
    Username,
    /// The e-mail address's key.
    Email,
    /// The last sign-in; those who never signed in count as the oldest.
    LastLogin,
}

/// What a list is sorted by, and which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sort {
    /// What it is sorted by.
    pub by: SortBy,
    /// Whether the smallest come first.
    pub ascending: bool,
}

/// A place in a list: that of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which of the list's walks it is in, counted in ascending order.
    pub walk: u8,
    /// Where in it.
    pub key: Key,
}

/// What a walk is sorted by, of one user. Keys of one walk are of one kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// The id alone.
    Id(i64),
    /// The key of a username or an e-mail address.
    Text(String),
    /// The last sign-in in microseconds, and the id.
    Login(i64, i64),
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Which users.
    pub filter: &'a UserFilter,
    /// In which order.
    pub sort: Sort,
    /// Behind whom, or with `backwards` before whom; `None` is the beginning.
    pub from: Option<&'a Place>,
    /// Whether the users before the place are wanted. They come in the list's order all the same.
    pub backwards: bool,
    /// How many at most.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug)]
pub struct Found {
    /// The users, in the list's order.
    pub users: Vec<(Place, User)>,
    /// How far was looked, when that was not to the end.
    pub looked_to: Option<Place>,
}

/// How many users there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// How many were counted.
    pub at_least: i64,
    /// Whether there may be more.
    pub more: bool,
}

/// Whether this place can be one of this list.
pub fn fits(filter: &UserFilter, sort: Sort, place: &Place) -> bool {
    let along = alongs(filter, sort).get(usize::from(place.walk)).copied();
    along.is_some_and(|along| along.has_key(&place.key))
}

/// How many rows each walk looks at for one page. What a search finds lies all over the table, and its second walk looks
/// in vain where both names begin alike.
pub const fn look_at(filter: &UserFilter) -> i64 {
    if filter.prefix.is_some() { 1_000 } else { 5_000 }
}

/// A part of a list, found with one or two statements.
pub fn find(connection: &mut AnyConnection, part: &Part<'_>) -> QueryResult<Found> {
    let walks = walks(part);
    let (look, limit) = (look_at(part.filter), i64::try_from(part.limit).unwrap_or(i64::MAX));
    let mut users = Vec::new();
    for (walk, row) in statement::users(connection, &walks, Wanted::Users { look, limit })? {
        let user = User::try_from(row)?;
        if let Some(found) = walks.iter().find(|found| i64::from(found.number) == walk) {
            users.push((place(found, &user), user));
        }
    }
    sort(&walks, &mut users);
    let mut looked_to = None;
    // Only the first walk's users can be shown whatever the others found.
    let first = walks.first().map(|walk| walk.number);
    if users.iter().filter(|(place, _)| Some(place.walk) == first).count() < part.limit {
        let rows = statement::users(connection, &walks, Wanted::LastLookedAt { look })?;
        let ends: Vec<(i64, User)> =
            rows.into_iter().map(|(walk, row)| Ok((walk, User::try_from(row)?))).collect::<QueryResult<_>>()?;
        // Nothing is shown of the walks behind the first one that was not walked to its end.
        let cut = walks.iter().enumerate().find_map(|(at, walk)| {
            let end = ends.iter().find(|(number, _)| *number == i64::from(walk.number));
            end.map(|(_, user)| (at, place(walk, user)))
        });
        if let Some((at, end)) = cut {
            let shown: Vec<u8> = walks.iter().take(at + 1).map(|walk| walk.number).collect();
            users.retain(|(place, _)| shown.contains(&place.walk));
            looked_to = (users.len() < part.limit).then_some(end);
        }
    }
    users.truncate(part.limit);
    if part.backwards {
        users.reverse();
    }
    Ok(Found { users, looked_to })
}

/// How many users the whole list has, as far as that is quickly said.
pub fn count(connection: &mut AnyConnection, filter: &UserFilter, sort: Sort) -> QueryResult<Count> {
    let part = Part { filter, sort, from: None, backwards: false, limit: 0 };
    let look = look_to_count(filter);
    let mut count = Count { at_least: 0, more: false };
    for (looked_at, found) in statement::count(connection, &counted_along(&part), look)? {
        count.at_least += found;
        count.more |= looked_at >= look;
    }
    count.more |= count.at_least > COUNTED;
    count.at_least = count.at_least.min(COUNTED);
    Ok(count)
}

/// How many live sessions these users have, those who have any.
pub fn live_sessions(connection: &mut AnyConnection, ids: &[i64], now: Timestamp) -> QueryResult<Vec<(i64, i64)>> {
    sessions::table
        .filter(sessions::user_id.eq_any(ids.to_vec()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_expires_at.gt(now.as_micros()))
        .filter(sessions::expires_at.gt(now.as_micros()))
        .group_by(sessions::user_id)
        .select((sessions::user_id, diesel::dsl::count_star()))
        .load(connection)
}

/// How the database would find a part, look for where it was left off, and count the list: for tests of the indexes.
pub fn explain(connection: &mut AnyConnection, part: &Part<'_>) -> QueryResult<[String; 3]> {
    let (walks, all) = (walks(part), counted_along(part));
    let (look, limit) = (look_at(part.filter), i64::try_from(part.limit).unwrap_or(i64::MAX));
    Ok([
        statement::explain(connection, &walks, Wanted::Users { look, limit })?,
        statement::explain(connection, &walks, Wanted::LastLookedAt { look })?,
        statement::explain(connection, &all, Wanted::Count { look: look_to_count(part.filter) })?,
    ])
}

/// However many there are, they are as many in the order of their ids, in which the rows lie one beside the other.
fn counted_along(part: &Part<'_>) -> Vec<Walk> {
    let sort = if part.filter.prefix.is_some() { part.sort } else { Sort { by: SortBy::Created, ascending: true } };
    walks(&Part { sort, from: None, backwards: false, ..*part })
}

const fn look_to_count(filter: &UserFilter) -> i64 {
    if filter.prefix.is_some() { look_at(filter) } else { COUNTED_AMONG }
}

/// What is walked along, in ascending order. A search finds by its own key first, and then whoever has the other one.
fn alongs(filter: &UserFilter, sort: Sort) -> &'static [Along] {
    match (filter.prefix.is_some(), sort.by) {
        (true, SortBy::Email) => &[Along::Email, Along::Username],
        (true, _) => &[Along::Username, Along::Email],
        (false, SortBy::Created) => &[Along::Id],
        (false, SortBy::Username) => &[Along::Username],
        (false, SortBy::Email) => &[Along::Email],
        (false, SortBy::LastLogin) => &[Along::NoLogin, Along::Login],
    }
}

fn walks(part: &Part<'_>) -> Vec<Walk> {
    let filter = part.filter;
    let ascending = part.sort.ascending != part.backwards;
    // A range over the key's bytes means the same on both databases, has no wildcards to escape and uses the indexes. No
    // key contains the last code point.
    let range =
        |along| filter.prefix.as_ref().map(|prefix| Range::new(along, prefix.clone(), format!("{prefix}\u{10FFFF}")));
    let mut before: Option<Along> = None;
    let mut walks: Vec<Walk> = (0_u8..)
        .zip(alongs(filter, part.sort))
        .map(|(number, along)| {
            let found_before = before.replace(*along);
            Walk {
                number,
                along: *along,
                class: class(filter),
                range: range(*along),
                but_not: found_before.and_then(range),
                from: part.from.filter(|place| place.walk == number).map(|place| place.key.clone()),
                conditions: conditions(filter),
                ascending,
            }
        })
        .collect();
    if !ascending {
        walks.reverse();
    }
    match part.from {
        None => walks,
        Some(place) => walks.into_iter().skip_while(|walk| walk.number != place.walk).collect(),
    }
}

/// The fewest that hold everybody who is asked for and have indexes of their own.
fn class(filter: &UserFilter) -> Class {
    match (filter.role, filter.status) {
        (Some(Role::Admin), _) => Class::Admins,
        (_, StatusFilter::Disabled) => Class::Disabled,
        (_, StatusFilter::Deleted) => Class::Deleted,
        (_, StatusFilter::Existing | StatusFilter::Active) => Class::Everybody,
    }
}

/// What is asked of each row that is looked at. No values: the planner sees what is asked, and so do its indexes.
fn conditions(filter: &UserFilter) -> Vec<&'static str> {
    let mut all = match filter.status {
        StatusFilter::Existing => vec!["s.deleted_at IS NULL"],
        StatusFilter::Active => vec!["s.deleted_at IS NULL", "s.disabled_at IS NULL"],
        StatusFilter::Disabled => vec!["s.deleted_at IS NULL", "s.disabled_at IS NOT NULL"],
        StatusFilter::Deleted => vec!["s.deleted_at IS NOT NULL"],
    };
    match filter.role {
        None => {}
        Some(Role::Admin) => all.push("s.role = 'Admin'"),
        Some(Role::User) => all.push("s.role = 'User'"),
    }
    all
}

fn place(walk: &Walk, user: &User) -> Place {
    Place { walk: walk.number, key: walk.along.key_of(user) }
}

/// In the order of the walks: the database promises none among the parts of a union.
fn sort(walks: &[Walk], users: &mut [(Place, User)]) {
    let turn = |place: &Place| walks.iter().position(|walk| walk.number == place.walk);
    let ascending = walks.iter().all(|walk| walk.ascending);
    users.sort_by(|(one, _), (other, _)| {
        turn(one).cmp(&turn(other)).then_with(|| {
            let order = one.key.cmp(&other.key);
            if ascending { order } else { order.reverse() }
        })
    });
}
