//! The table `reset_links`: one-time links with which users choose another password. Each user has one at most.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::error::impossible_row;
use super::schema::{reset_links, users};
use super::users::UserRow;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{SecurityVersion, User, UserId};

/// Makes this the one valid link of a user, for as long as their rights are what they are.
pub fn replace(
    connection: &mut AnyConnection,
    user: &User,
    token_digest: &[u8; 32],
    now: Timestamp,
    expires_at: Timestamp,
) -> QueryResult<()> {
    clear(connection, user.id)?;
    diesel::insert_into(reset_links::table)
        .values((
            reset_links::user_id.eq(user.id.get()),
            reset_links::token_digest.eq(token_digest.as_slice()),
            reset_links::security_version.eq(user.security_version.get()),
            reset_links::created_at.eq(now.as_micros()),
            reset_links::expires_at.eq(expires_at.as_micros()),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Makes a user's link invalid.
pub fn clear(connection: &mut AnyConnection, user: UserId) -> QueryResult<()> {
    diesel::delete(reset_links::table.find(user.get())).execute(connection).map(|_| ())
}

/// The user of a link that has neither expired nor been spent, and whose rights are what they were when it was made.
pub fn find(connection: &mut AnyConnection, token_digest: &[u8; 32], now: Timestamp) -> QueryResult<Option<User>> {
    reset_links::table
        .inner_join(users::table)
        .filter(reset_links::token_digest.eq(token_digest.as_slice()))
        .filter(reset_links::expires_at.gt(now.as_micros()))
        .filter(reset_links::security_version.eq(users::security_version))
        .filter(users::disabled_at.is_null())
        .filter(users::deleted_at.is_null())
        .select(UserRow::as_select())
        .first(connection)
        .optional()?
        .map(User::try_from)
        .transpose()
}

/// Spends a link: of two at once, one gets the user and the security version that it was made for.
pub fn spend(
    connection: &mut AnyConnection,
    token_digest: &[u8; 32],
    now: Timestamp,
) -> QueryResult<Option<(UserId, SecurityVersion)>> {
    let valid = reset_links::table
        .filter(reset_links::token_digest.eq(token_digest.as_slice()))
        .filter(reset_links::expires_at.gt(now.as_micros()));
    let spent: Option<(i64, i64)> = diesel::delete(valid)
        .returning((reset_links::user_id, reset_links::security_version))
        .get_result(connection)
        .optional()?;
    spent
        .map(|(user, version)| {
            let user =
                UserId::new(user).ok_or_else(|| impossible_row("reset_links", user, "the id is not positive"))?;
            Ok((user, SecurityVersion::new(version)))
        })
        .transpose()
}

/// Deletes links that can no longer be used; says how many.
pub fn delete_expired(connection: &mut AnyConnection, now: Timestamp) -> QueryResult<usize> {
    diesel::delete(reset_links::table.filter(reset_links::expires_at.le(now.as_micros()))).execute(connection)
}
