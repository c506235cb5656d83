//! Looking at accounts, for admins and operators.

use super::Auth;
use super::cursor::{self, BadCursor, Page};
use super::failure::Failure;
use super::login::key_of;
use crate::domain::email::Email;
use crate::domain::fold;
use crate::domain::role::Role;
use crate::domain::user::{User, UserId};
use crate::domain::username::Username;
pub use crate::store::users::StatusFilter;
use crate::store::users::{self, Key, UserFilter};

/// Which users are asked for.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// What the username or the e-mail begins with, in any case.
    pub search: Option<String>,
    /// Only this role.
    pub role: Option<Role>,
    /// Only these states.
    pub status: StatusFilter,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of this list.
    #[error(transparent)]
    BadCursor(#[from] BadCursor),
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A page of users, by id.
pub async fn list_users(auth: &Auth, query: UserQuery) -> Result<Page<User>, ListError> {
    let after = query.cursor.map(|cursor| cursor::decode(&auth.keyring, &cursor)).transpose()?;
    let filter = UserFilter {
        prefix: query.search.map(|search| fold::search_prefix(&search)).filter(|prefix| !prefix.is_empty()),
        role: query.role,
        status: query.status,
    };
    let limit = i64::from(query.limit) + 1;
    let rows = auth.read(move |connection| users::list(connection, &filter, after, limit)).await?;
    Ok(Page::cut(&auth.keyring, rows, query.limit, |user| user.id))
}

/// The user with this id, deleted or not.
pub async fn find_user(auth: &Auth, id: UserId) -> Result<Option<User>, Failure> {
    auth.read(move |connection| users::find(connection, id)).await
}

/// Whether one account has both this username and this e-mail address.
pub async fn is_one_account(auth: &Auth, username: &str, email: &str) -> Result<bool, Failure> {
    let (Some(username), Some(email)) = (Username::key_of(username), Email::key_of(email)) else { return Ok(false) };
    auth.read(move |connection| {
        let by_username = users::find_by_key(connection, &Key::Username(username))?;
        let by_email = users::find_by_key(connection, &Key::Email(email))?;
        Ok(by_username.zip(by_email).is_some_and(|((one, _), (other, _))| one.id == other.id))
    })
    .await
}

/// The user whom an id, a username or an e-mail address names, deleted or not. A name of digits is an id.
pub async fn find_user_by_name(auth: &Auth, name: &str) -> Result<Option<User>, Failure> {
    if let Some(id) = UserId::parse(name) {
        return find_user(auth, id).await;
    }
    let Some(key) = key_of(name) else { return Ok(None) };
    auth.read(move |connection| Ok(users::find_by_key(connection, &key)?.map(|(user, _)| user))).await
}
