//! The table `setup_links`: the one-time link with which the first admin is made. At most one is valid.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::setup_links;
use crate::domain::timestamp::Timestamp;

/// Makes this the one valid link.
pub fn replace(
    connection: &mut AnyConnection,
    token_digest: &[u8; 32],
    now: Timestamp,
    expires_at: Timestamp,
) -> QueryResult<()> {
    clear(connection)?;
    diesel::insert_into(setup_links::table)
        .values((
            setup_links::token_digest.eq(token_digest.as_slice()),
            setup_links::created_at.eq(now.as_micros()),
            setup_links::expires_at.eq(expires_at.as_micros()),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Makes every link invalid.
pub fn clear(connection: &mut AnyConnection) -> QueryResult<()> {
    diesel::delete(setup_links::table).execute(connection).map(|_| ())
}

/// Spends the link, if it is the valid one; `false` when it is not.
pub fn spend(connection: &mut AnyConnection, token_digest: &[u8; 32], now: Timestamp) -> QueryResult<bool> {
    let valid = setup_links::table.find(token_digest.as_slice()).filter(setup_links::expires_at.gt(now.as_micros()));
    Ok(diesel::delete(valid).execute(connection)? == 1)
}

/// Whether this is the valid link.
pub fn is_valid(connection: &mut AnyConnection, token_digest: &[u8; 32], now: Timestamp) -> QueryResult<bool> {
    let valid = setup_links::table.find(token_digest.as_slice()).filter(setup_links::expires_at.gt(now.as_micros()));
    diesel::select(diesel::dsl::exists(valid)).get_result(connection)
}
