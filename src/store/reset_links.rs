//! The table `reset_links`: one-time links with which users choose another password. Each user has one at most.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::dialect::upsert;
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
    let row = &Link {
        user_id: user.id.get(),
        token_digest,
        security_version: user.security_version.get(),
        created_at: now.as_micros(),
        expires_at: expires_at.as_micros(),
    };
    upsert!(connection, reset_links::table, reset_links::user_id, row).map(|_| ())
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = reset_links, primary_key(user_id))]
struct Link<'a> {
    user_id: i64,
    token_digest: &'a [u8],
    security_version: i64,
    created_at: i64,
    expires_at: i64,
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
