//! The table `changes`: what every instance must forget. A row is written in the transaction of the change itself, and
//! instances read what is new several times a second.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::dialect;
pub use super::dialect::{Position, end_of_changes as end, note_change as note};
use super::schema::changes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

/// Whose sessions or rights changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// One user's.
    User(UserId),
    /// Anybody's.
    Everybody,
}

/// What has been committed since `position`, and where to read on. A change may come twice; none is left out, in
/// whatever order transactions began and committed.
pub fn since(connection: &mut AnyConnection, position: Position) -> QueryResult<(Vec<Change>, Position)> {
    let (rows, position) = dialect::changes_since(connection, position)?;
    let change = |user: Option<i64>| user.and_then(UserId::new).map_or(Change::Everybody, Change::User);
    Ok((rows.into_iter().map(change).collect(), position))
}

/// Drops up to `limit` of the rows from before `until`, which every instance has read or has given up on; says how many.
pub fn prune(connection: &mut AnyConnection, until: Timestamp, limit: i64) -> QueryResult<usize> {
    let old: Vec<i64> = changes::table
        .filter(changes::at.lt(until.as_micros()))
        .order(changes::seq)
        .limit(limit)
        .select(changes::seq)
        .load(connection)?;
    diesel::delete(changes::table.filter(changes::seq.eq_any(old))).execute(connection)
}
