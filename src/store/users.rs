//! The table `users`, and the counter that numbers them.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::error::impossible_row;
use super::schema::{counters, users};
use super::{changes, status_lists};
use crate::domain::email::Email;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{SecurityVersion, User, UserId, UserStatus};
use crate::domain::username::Username;
use crate::secret::Secret;

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The unique name.
    pub username: Username,
    /// The unique e-mail address.
    pub email: Email,
    /// What the user may do.
    pub role: Role,
    /// The stored form of the password.
    pub password_hash: Secret<String>,
    /// When the account is made.
    pub created_at: Timestamp,
}

/// Which of two unique values somebody has already, a deleted account included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// The username is taken.
    pub username: bool,
    /// The e-mail address is taken.
    pub email: bool,
}

/// Which users a list holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserFilter {
    /// What the folded username or e-mail begins with.
    pub prefix: Option<String>,
    /// Only this role.
    pub role: Option<Role>,
    /// Only these states.
    pub status: StatusFilter,
}

/// Which states a list of users holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StatusFilter {
    /// All but the deleted.
    #[default]
    Existing,
    /// Those who may sign in.
    Active,
    /// Those an admin keeps out.
    Disabled,
    /// Those deleted and not yet purged.
    Deleted,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(super) struct UserRow {
    id: i64,
    username: String,
    username_key: String,
    email: String,
    email_key: String,
    role: String,
    security_version: i64,
    created_at: i64,
    last_login_at: Option<i64>,
    disabled_at: Option<i64>,
    deleted_at: Option<i64>,
}

impl TryFrom<UserRow> for User {
    type Error = diesel::result::Error;

    fn try_from(row: UserRow) -> QueryResult<Self> {
        let status = match (row.deleted_at, row.disabled_at) {
            (Some(at), _) => UserStatus::Deleted { at: Timestamp::from_micros(at) },
            (None, Some(at)) => UserStatus::Disabled { at: Timestamp::from_micros(at) },
            (None, None) => UserStatus::Active,
        };
        Ok(Self {
            id: UserId::new(row.id).ok_or_else(|| impossible_row("users", row.id, "the id is not positive"))?,
            role: Role::parse(&row.role).ok_or_else(|| impossible_row("users", row.id, "unknown role"))?,
            username: Username::from_stored(row.username, row.username_key),
            email: Email::from_stored(row.email, row.email_key),
            status,
            security_version: SecurityVersion::new(row.security_version),
            created_at: Timestamp::from_micros(row.created_at),
            last_login_at: row.last_login_at.map(Timestamp::from_micros),
        })
    }
}

/// The user with this id, deleted or not.
pub fn find(connection: &mut AnyConnection, id: UserId) -> QueryResult<Option<User>> {
    users::table
        .find(id.get())
        .select(UserRow::as_select())
        .first(connection)
        .optional()?
        .map(User::try_from)
        .transpose()
}

/// The user that a canonical username or e-mail names, with the stored password.
pub fn find_by_key(connection: &mut AnyConnection, key: &Key) -> QueryResult<Option<(User, String)>> {
    let columns = (UserRow::as_select(), users::password_hash);
    let row: Option<(UserRow, String)> = match key {
        Key::Username(key) => users::table.filter(users::username_key.eq(key)).select(columns).first(connection),
        Key::Email(key) => users::table.filter(users::email_key.eq(key)).select(columns).first(connection),
    }
    .optional()?;
    row.map(|(row, hash)| Ok((User::try_from(row)?, hash))).transpose()
}

/// What a person types to say who they are, in its canonical form.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// A username's key.
    Username(String),
    /// An e-mail address's key.
    Email(String),
}

/// Whom these keys name, without those that nobody has.
pub fn ids_of(connection: &mut AnyConnection, keys: &[Key]) -> QueryResult<Vec<(Key, UserId)>> {
    let (mut usernames, mut emails) = (Vec::new(), Vec::new());
    for key in keys {
        match key {
            Key::Username(key) => usernames.push(key.as_str()),
            Key::Email(key) => emails.push(key.as_str()),
        }
    }
    let query = users::table.select((users::id, users::username_key, users::email_key)).into_boxed();
    // An empty list of either would be looked for among all users.
    let query = match (usernames.is_empty(), emails.is_empty()) {
        (_, true) => query.filter(users::username_key.eq_any(usernames)),
        (true, false) => query.filter(users::email_key.eq_any(emails)),
        (false, false) => query.filter(users::username_key.eq_any(usernames).or(users::email_key.eq_any(emails))),
    };
    let found: Vec<(i64, String, String)> = query.load(connection)?;
    let of = |(id, username, email): (i64, String, String)| {
        let id = UserId::new(id);
        [Key::Username(username), Key::Email(email)].into_iter().filter_map(move |key| Some((key, id?)))
    };
    Ok(found.into_iter().flat_map(of).collect())
}

/// The stored password of a user.
pub fn password_hash(connection: &mut AnyConnection, id: UserId) -> QueryResult<Option<String>> {
    users::table.find(id.get()).select(users::password_hash).first(connection).optional()
}

/// Which of the two values somebody has already.
pub fn taken(connection: &mut AnyConnection, username: &Username, email: &Email) -> QueryResult<Taken> {
    let keys: Vec<(String, String)> = users::table
        .filter(users::username_key.eq(username.key()).or(users::email_key.eq(email.key())))
        .select((users::username_key, users::email_key))
        .load(connection)?;
    Ok(Taken {
        username: keys.iter().any(|(key, _)| key == username.key()),
        email: keys.iter().any(|(_, key)| key == email.key()),
    })
}

/// Makes the account under the next number. The counter goes back with the transaction, so that numbers have no gaps,
/// and only with it, so that none is used twice.
pub fn insert(connection: &mut AnyConnection, new: &NewUser) -> QueryResult<User> {
    let id: i64 = diesel::update(counters::table.find("user_id"))
        .set(counters::value.eq(counters::value + 1))
        .returning(counters::value)
        .get_result(connection)?;
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id),
            users::username.eq(new.username.as_str()),
            users::username_key.eq(new.username.key()),
            users::email.eq(new.email.as_str()),
            users::email_key.eq(new.email.key()),
            users::role.eq(new.role.as_str()),
            users::password_hash.eq(new.password_hash.expose()),
            users::security_version.eq(SecurityVersion::FIRST.get()),
            users::created_at.eq(new.created_at.as_micros()),
            users::updated_at.eq(new.created_at.as_micros()),
            users::password_changed_at.eq(new.created_at.as_micros()),
        ))
        .execute(connection)?;
    Ok(User {
        id: UserId::new(id).ok_or_else(|| impossible_row("counters", "user_id", "not positive"))?,
        username: new.username.clone(),
        email: new.email.clone(),
        role: new.role,
        status: UserStatus::Active,
        security_version: SecurityVersion::FIRST,
        created_at: new.created_at,
        last_login_at: None,
    })
}

/// Leaves out the next `count` numbers.
pub fn skip_ids(connection: &mut AnyConnection, count: i64) -> QueryResult<()> {
    diesel::update(counters::table.find("user_id"))
        .set(counters::value.eq(counters::value + count))
        .execute(connection)
        .map(|_| ())
}

/// Notes a sign-in, if the user is still active and what they may do is still what it was when the password was
/// verified. The row stays locked until the transaction ends. `rehashed` replaces the stored password by a stronger
/// form of the same one.
pub fn record_login(
    connection: &mut AnyConnection,
    id: UserId,
    verified: SecurityVersion,
    rehashed: Option<&str>,
    now: Timestamp,
) -> QueryResult<bool> {
    let unchanged = users::table
        .find(id.get())
        .filter(users::security_version.eq(verified.get()))
        .filter(users::disabled_at.is_null())
        .filter(users::deleted_at.is_null());
    let changed = match rehashed {
        None => diesel::update(unchanged).set(users::last_login_at.eq(now.as_micros())).execute(connection)?,
        Some(hash) => diesel::update(unchanged)
            .set((users::last_login_at.eq(now.as_micros()), users::password_hash.eq(hash)))
            .execute(connection)?,
    };
    if changed == 1 {
        // The time of the last sign-in is part of what instances remember of a user.
        changes::note(connection, Some(id), now)?;
    }
    Ok(changed == 1)
}

/// Replaces the password and raises the security version, if that is still `verified` and the user is active.
pub fn change_password(
    connection: &mut AnyConnection,
    id: UserId,
    verified: SecurityVersion,
    password_hash: &str,
    now: Timestamp,
) -> QueryResult<bool> {
    let changed = diesel::update(
        users::table
            .find(id.get())
            .filter(users::security_version.eq(verified.get()))
            .filter(users::disabled_at.is_null())
            .filter(users::deleted_at.is_null()),
    )
    .set(new_password(password_hash, now))
    .execute(connection)?;
    Ok(changed == 1)
}

type NewPassword<'a> = (
    diesel::dsl::Eq<users::password_hash, &'a str>,
    diesel::dsl::Eq<users::password_changed_at, i64>,
    diesel::dsl::Eq<users::security_version, diesel::dsl::Add<users::security_version, i64>>,
    diesel::dsl::Eq<users::updated_at, i64>,
);

fn new_password(password_hash: &str, now: Timestamp) -> NewPassword<'_> {
    (
        users::password_hash.eq(password_hash),
        users::password_changed_at.eq(now.as_micros()),
        users::security_version.eq(users::security_version + 1_i64),
        users::updated_at.eq(now.as_micros()),
    )
}

/// Replaces the password of a user who exists, disabled or not, and raises the security version, if that is still
/// `seen`.
pub fn reset_password(
    connection: &mut AnyConnection,
    id: UserId,
    seen: SecurityVersion,
    password_hash: &str,
    now: Timestamp,
) -> QueryResult<bool> {
    let unchanged =
        users::table.find(id.get()).filter(users::security_version.eq(seen.get())).filter(users::deleted_at.is_null());
    let changed = diesel::update(unchanged).set(new_password(password_hash, now)).execute(connection)?;
    Ok(changed == 1)
}

/// Gives the user another role and raises the security version. Their sessions go on, but not the tokens that say the
/// old role.
pub fn set_role(connection: &mut AnyConnection, id: UserId, role: Role, now: Timestamp) -> QueryResult<()> {
    diesel::update(users::table.find(id.get()))
        .set((
            users::role.eq(role.as_str()),
            users::security_version.eq(users::security_version + 1),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    status_lists::revoke_of_user(connection, id, now)?;
    changes::note(connection, Some(id), now)
}

/// Keeps the user out, raising the security version, or lets them in again.
pub fn set_disabled(connection: &mut AnyConnection, id: UserId, disabled: bool, now: Timestamp) -> QueryResult<()> {
    diesel::update(users::table.find(id.get()))
        .set((
            users::disabled_at.eq(disabled.then_some(now.as_micros())),
            users::security_version.eq(users::security_version + i64::from(disabled)),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    changes::note(connection, Some(id), now)
}

/// Gives the user another e-mail address. A unique violation means that it is taken.
pub fn set_email(connection: &mut AnyConnection, id: UserId, email: &Email, now: Timestamp) -> QueryResult<()> {
    diesel::update(users::table.find(id.get()))
        .set((users::email.eq(email.as_str()), users::email_key.eq(email.key()), users::updated_at.eq(now.as_micros())))
        .execute(connection)?;
    changes::note(connection, Some(id), now)
}

/// Marks the user as deleted and raises the security version.
pub fn delete(connection: &mut AnyConnection, id: UserId, now: Timestamp) -> QueryResult<()> {
    diesel::update(users::table.find(id.get()))
        .set((
            users::deleted_at.eq(now.as_micros()),
            users::security_version.eq(users::security_version + 1),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    changes::note(connection, Some(id), now)
}

/// Takes back a deletion; `false` when the user does not exist or is not deleted.
pub fn restore(connection: &mut AnyConnection, id: UserId, now: Timestamp) -> QueryResult<bool> {
    let deleted = users::table.find(id.get()).filter(users::deleted_at.is_not_null());
    let changed = diesel::update(deleted)
        .set((users::deleted_at.eq(None::<i64>), users::updated_at.eq(now.as_micros())))
        .execute(connection)?;
    Ok(changed == 1)
}

/// How many admins may sign in.
pub fn count_active_admins(connection: &mut AnyConnection) -> QueryResult<i64> {
    users::table
        .filter(users::role.eq(Role::Admin.as_str()))
        .filter(users::disabled_at.is_null())
        .filter(users::deleted_at.is_null())
        .count()
        .get_result(connection)
}

/// Whether there is an admin who may sign in.
pub fn has_admin(connection: &mut AnyConnection) -> QueryResult<bool> {
    Ok(count_active_admins(connection)? > 0)
}

/// Up to `limit` users with an id above `after`, by id.
pub fn list(
    connection: &mut AnyConnection,
    filter: &UserFilter,
    after: Option<UserId>,
    limit: i64,
) -> QueryResult<Vec<User>> {
    let mut query = users::table.select(UserRow::as_select()).order(users::id).limit(limit).into_boxed();
    if let Some(after) = after {
        query = query.filter(users::id.gt(after.get()));
    }
    if let Some(role) = filter.role {
        query = query.filter(users::role.eq(role.as_str()));
    }
    query = match filter.status {
        StatusFilter::Existing => query.filter(users::deleted_at.is_null()),
        StatusFilter::Active => query.filter(users::deleted_at.is_null()).filter(users::disabled_at.is_null()),
        StatusFilter::Disabled => query.filter(users::deleted_at.is_null()).filter(users::disabled_at.is_not_null()),
        StatusFilter::Deleted => query.filter(users::deleted_at.is_not_null()),
    };
    if let Some(prefix) = &filter.prefix {
        // A range over the key's bytes means the same on both databases, has no wildcards to escape and uses the
        // unique indexes. No key contains the last code point.
        let end = format!("{prefix}\u{10FFFF}");
        query = query.filter(
            users::username_key
                .ge(prefix)
                .and(users::username_key.lt(end.clone()))
                .or(users::email_key.ge(prefix).and(users::email_key.lt(end))),
        );
    }
    query.load(connection)?.into_iter().map(User::try_from).collect()
}
