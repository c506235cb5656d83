//! The table `changes`: what every instance must forget, or read again. A row is written in the transaction of the change itself, and
//! instances read what is new several times a second.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::dialect;
pub use super::dialect::{Position, end_of_changes as end};
use super::schema::changes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// One user's sessions or rights.
    User(UserId),
    /// Anybody's sessions or rights, and perhaps keys that are retired.
    Everybody,
    /// When signing keys sign; all tokens are as good as they were.
    Keys,
}

/// The number that stands for the keys in the place of a user's; no user has it.
const KEYS: i64 = 0;

/// Notes a change of one user's sessions or rights, or of everybody's.
pub fn note(connection: &mut AnyConnection, user: Option<UserId>, at: Timestamp) -> QueryResult<()> {
    dialect::note_change(connection, user.map(UserId::get), at)
}

/// Notes that the schedule of the signing keys changed.
pub fn note_keys(connection: &mut AnyConnection, at: Timestamp) -> QueryResult<()> {
    dialect::note_change(connection, Some(KEYS), at)
}

/// What has been committed since `position`, and where to read on. A change may come twice; none is left out, in
/// whatever order transactions began and committed.
pub fn since(connection: &mut AnyConnection, position: Position) -> QueryResult<(Vec<Change>, Position)> {
    let (rows, position) = dialect::changes_since(connection, position)?;
    let change = |number: Option<i64>| match number {
        Some(KEYS) => Change::Keys,
        number => number.and_then(UserId::new).map_or(Change::Everybody, Change::User),
    };
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
