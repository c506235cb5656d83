//! The list of users that admins leaf through, forwards and backwards, and its export.

use std::collections::HashMap;

use super::Auth;
use super::cursor::{self, BadCursor, CursorKey};
use super::failure::Failure;
use super::users::ListError;
use crate::domain::fold;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::QueryResult;
use crate::store::connection::AnyConnection;
use crate::store::user_lists::{self, Key, Part, Place};
pub use crate::store::user_lists::{Count, Sort, SortBy};
use crate::store::users::{StatusFilter, UserFilter};

/// Which users are asked for, and in which order.
#[derive(Clone, Debug)]
pub struct UserListQuery {
    /// What the username or the e-mail begins with, in any case.
    pub search: Option<String>,
    /// Only this role.
    pub role: Option<Role>,
    /// Only these states.
    pub status: StatusFilter,
    /// The order.
    pub sort: Sort,
}

/// Where a page begins or ends: a cursor of another page of the same list.
#[derive(Clone, Debug, Default)]
pub enum At {
    /// At the beginning.
    #[default]
    Start,
    /// Behind a place.
    After(String),
    /// Before one.
    Before(String),
}

/// A user in the list.
#[derive(Clone, Debug)]
pub struct ListedUser {
    /// The user.
    pub user: User,
    /// How many sessions are live.
    pub live_sessions: i64,
}

/// A page of the list.
#[derive(Debug)]
pub struct UserListPage {
    /// The users.
    pub users: Vec<ListedUser>,
    /// How many users are before the first of them.
    pub before: u64,
    /// How many users the list has.
    pub count: Count,
    /// Whether the page ends for the number of users that were looked at, and not for that of those found.
    pub is_cut: bool,
    /// The cursor of the page behind this one.
    pub next: Option<String>,
    /// The cursor of the page before this one.
    pub previous: Option<String>,
}

impl UserListQuery {
    /// Its order as it comes to be: what is searched for comes in the order of what was found.
    pub fn effective_sort(&self) -> Sort {
        match self.sort.by {
            SortBy::Created | SortBy::LastLogin if self.filter().prefix.is_some() => {
                Sort { by: SortBy::Username, ascending: true }
            }
            _ => self.sort,
        }
    }

    /// How many users each walk of a page looks at, at most.
    pub fn looks_at(&self) -> i64 {
        user_lists::look_at(&self.filter())
    }

    fn filter(&self) -> UserFilter {
        UserFilter {
            prefix: self.search.as_deref().map(fold::search_prefix).filter(|prefix| !prefix.is_empty()),
            role: self.role,
            status: self.status,
        }
    }
}

/// A page of up to `size` users: three statements at most.
pub async fn leaf_through_users(
    auth: &Auth,
    query: &UserListQuery,
    at: At,
    size: usize,
) -> Result<UserListPage, ListError> {
    let (filter, sort, now) = (query.filter(), query.effective_sort(), auth.now());
    let cursor = match &at {
        At::Start => None,
        At::After(cursor) | At::Before(cursor) => Some(cursor::decode::<Cursor>(&auth.keyring, cursor)?),
    };
    let backwards = matches!(at, At::Before(_));
    if let Some(cursor) = &cursor {
        let is_own = cursor.sort == sort && cursor.backwards == backwards;
        if !is_own || !user_lists::fits(&filter, sort, &cursor.place) {
            return Err(BadCursor.into());
        }
    }
    let leaf = auth.read(move |connection| Leaf::read(connection, &filter, sort, cursor, backwards, size, now)).await?;
    let cursor_of = |place: Option<(Place, u64)>, backwards| {
        let (place, before) = place?;
        Some(cursor::encode(&auth.keyring, &Cursor { sort, backwards, place, before, count: leaf.count }))
    };
    Ok(UserListPage {
        next: cursor_of(leaf.next, false),
        previous: cursor_of(leaf.previous, true),
        users: leaf.users,
        before: leaf.before,
        count: leaf.count,
        is_cut: leaf.is_cut,
    })
}

/// Where an export goes on.
#[derive(Clone, Debug)]
pub struct ExportPlace(Place);

/// A part of an export: its users, and where the next part begins, if there is one.
pub async fn export_users(
    auth: &Auth,
    query: &UserListQuery,
    from: Option<ExportPlace>,
    limit: usize,
) -> Result<(Vec<ListedUser>, Option<ExportPlace>), Failure> {
    let (filter, sort, now) = (query.filter(), query.effective_sort(), auth.now());
    auth.read(move |connection| {
        let from = from.map(|place| place.0);
        let part = Part { filter: &filter, sort, from: from.as_ref(), backwards: false, limit };
        let found = user_lists::find(connection, &part)?;
        let last = found.users.last().filter(|_| found.users.len() == limit).map(|(place, _)| place.clone());
        let users = with_sessions(connection, found.users.into_iter().map(|(_, user)| user).collect(), now)?;
        Ok((users, found.looked_to.or(last).map(ExportPlace)))
    })
    .await
}

/// A page as it was read, with places in place of cursors, each with the number of users before it.
struct Leaf {
    users: Vec<ListedUser>,
    before: u64,
    count: Count,
    is_cut: bool,
    next: Option<(Place, u64)>,
    previous: Option<(Place, u64)>,
}

impl Leaf {
    fn read(
        connection: &mut AnyConnection,
        filter: &UserFilter,
        sort: Sort,
        cursor: Option<Cursor>,
        backwards: bool,
        size: usize,
        now: Timestamp,
    ) -> QueryResult<Self> {
        let from = cursor.as_ref().map(|cursor| &cursor.place);
        // One more than the page holds shows whether there is another page.
        let part = Part { filter, sort, from, backwards, limit: size + 1 };
        let mut found = user_lists::find(connection, &part)?;
        let more = found.users.len() > size;
        if more && backwards {
            found.users.remove(0);
        }
        found.users.truncate(size);
        let len = number(found.users.len());
        let known = cursor.as_ref().map_or(0, |cursor| cursor.before);
        let is_start = backwards && !more && found.looked_to.is_none();
        let before = match backwards {
            true if is_start => 0,
            true => known.saturating_sub(len),
            false => known,
        };
        let ends = !backwards && !more && found.looked_to.is_none();
        let count = match &cursor {
            _ if ends => exactly(before + len),
            Some(cursor) => cursor.count,
            None if more => user_lists::count(connection, filter, sort)?,
            None => Count { more: true, ..exactly(len) },
        };
        let place = |user: Option<&(Place, User)>| user.map(|(place, _)| place.clone());
        let (first, last) = (place(found.users.first()), place(found.users.last()));
        let is_cut = found.looked_to.is_some();
        let beyond = found.looked_to;
        let (previous, next) = if backwards {
            (if more { first } else { beyond }, last)
        } else {
            (first.filter(|_| cursor.is_some()), if more { last } else { beyond })
        };
        let users = with_sessions(connection, found.users.into_iter().map(|(_, user)| user).collect(), now)?;
        Ok(Self {
            users,
            before,
            count,
            is_cut,
            next: next.map(|place| (place, before + len)),
            previous: previous.map(|place| (place, before)),
        })
    }
}

fn with_sessions(connection: &mut AnyConnection, users: Vec<User>, now: Timestamp) -> QueryResult<Vec<ListedUser>> {
    let ids: Vec<i64> = users.iter().map(|user| user.id.get()).collect();
    let live: HashMap<i64, i64> = match ids.is_empty() {
        true => HashMap::new(),
        false => user_lists::live_sessions(connection, &ids, now)?.into_iter().collect(),
    };
    let listed = |user: User| ListedUser { live_sessions: live.get(&user.id.get()).copied().unwrap_or(0), user };
    Ok(users.into_iter().map(listed).collect())
}

fn exactly(number: u64) -> Count {
    Count { at_least: i64::try_from(number).unwrap_or(i64::MAX), more: false }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A place in a list in a certain order, which way to go from there, and what is known of the list.
pub(in crate::auth) struct Cursor {
    sort: Sort,
    backwards: bool,
    place: Place,
    before: u64,
    count: Count,
}

impl CursorKey for Cursor {
    const LIST: u8 = b'U';

    fn to_bytes(&self) -> Vec<u8> {
        let by = match self.sort.by {
            SortBy::Created => b'c',
            SortBy::Username => b'u',
            SortBy::Email => b'e',
            SortBy::LastLogin => b'l',
        };
        let mut bytes = vec![by, self.sort.ascending.into(), self.backwards.into(), self.place.walk];
        bytes.extend(self.before.to_be_bytes());
        bytes.extend(self.count.at_least.to_be_bytes());
        bytes.push(self.count.more.into());
        match &self.place.key {
            Key::Id(id) => {
                bytes.push(b'i');
                bytes.extend(id.to_be_bytes());
            }
            Key::Login(at, id) => {
                bytes.push(b'l');
                bytes.extend(at.to_be_bytes());
                bytes.extend(id.to_be_bytes());
            }
            Key::Text(key) => {
                bytes.push(b't');
                bytes.extend(key.as_bytes());
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ([by, ascending, backwards, walk], bytes) = bytes.split_first_chunk()?;
        let by = match by {
            b'c' => SortBy::Created,
            b'u' => SortBy::Username,
            b'e' => SortBy::Email,
            b'l' => SortBy::LastLogin,
            _ => return None,
        };
        let (before, bytes) = bytes.split_first_chunk()?;
        let (at_least, bytes) = bytes.split_first_chunk()?;
        let ([more, kind], key) = bytes.split_first_chunk()?;
        let key = match kind {
            b'i' => Key::Id(i64::from_be_bytes(key.try_into().ok()?)),
            b'l' => {
                let (at, id) = key.split_first_chunk()?;
                Key::Login(i64::from_be_bytes(*at), i64::from_be_bytes(id.try_into().ok()?))
            }
            b't' => Key::Text(std::str::from_utf8(key).ok()?.to_owned()),
            _ => return None,
        };
        Some(Self {
            sort: Sort { by, ascending: *ascending == 1 },
            backwards: *backwards == 1,
            place: Place { walk: *walk, key },
            before: u64::from_be_bytes(*before),
            count: Count { at_least: i64::from_be_bytes(*at_least), more: *more == 1 },
        })
    }
}
