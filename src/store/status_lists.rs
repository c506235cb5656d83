//! The tables `status_lists` and `revoked_status_indexes`, and what of `sessions` is said in the lists.
//!
//! Who gives a session a place, or makes a place's tokens untrue, holds the user's row: signing in and changing the user
//! do so by their updates, others by `dialect::lock_user`. So no place is given for what is about to change.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer};

use super::connection::AnyConnection;
use super::dialect::{self, Lock};
use super::error::impossible_row;
use super::schema::{revoked_status_indexes, sessions, status_lists};
use super::{changes, statements};
use crate::domain::session::{Session, SessionId};
use crate::domain::status_list::{LISTS, SIZE, Slot, StatusIndex};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId};

/// How many places an instance takes at a time. It divides the size of a list.
pub const BLOCK: u32 = 256;
/// The last serial number at which a list has a block left.
const LAST_BLOCK: i64 = (SIZE - BLOCK) as i64;

/// A list that there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// Which of those that there are at a time.
    pub slot: Slot,
    /// Its number, which no other list ever has.
    pub number: i64,
    /// Its name in URLs.
    pub name: String,
}

/// What a new list is made of.
#[derive(Clone, Debug)]
pub struct NewList {
    /// Its name in URLs.
    pub name: String,
    /// What scatters its places.
    pub permutation_key: [u8; 32],
}

/// Places that are one instance's own.
#[derive(Clone, Debug)]
pub struct Block {
    /// Their list.
    pub list: List,
    /// What scatters them.
    pub permutation_key: [u8; 32],
    /// The first of their serial numbers.
    pub first: u32,
}

/// All lists.
pub fn all(connection: &mut AnyConnection) -> QueryResult<Vec<List>> {
    let rows: Vec<(i64, String)> = status_lists::table
        .order(status_lists::number)
        .select((status_lists::number, status_lists::name))
        .load(connection)?;
    Ok(rows.into_iter().map(|(number, name)| List { slot: Slot::of_list(number), number, name }).collect())
}

/// Takes a block of places, of a new list when none has one left, for sessions that may live until `until`; `None` when
/// there are as many lists as there may be.
pub fn take_block(
    connection: &mut AnyConnection,
    new: &NewList,
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<Option<Block>> {
    if let Some(block) = take_from_open(connection, until)? {
        return Ok(Some(block));
    }
    dialect::lock(connection, Lock::StatusLists)?;
    // Somebody else may have begun one meanwhile.
    if let Some(block) = take_from_open(connection, until)? {
        return Ok(Some(block));
    }
    if begin(connection, new, now)? { take_from_open(connection, until) } else { Ok(None) }
}

fn take_from_open(connection: &mut AnyConnection, until: Timestamp) -> QueryResult<Option<Block>> {
    let open = status_lists::table
        .filter(status_lists::next_serial.le(LAST_BLOCK))
        .order(status_lists::number.desc())
        .select((status_lists::number, status_lists::name, status_lists::permutation_key))
        .first::<(i64, String, Vec<u8>)>(connection)
        .optional()?;
    let Some((number, name, key)) = open else { return Ok(None) };
    let block = status_lists::table.find(number).filter(status_lists::next_serial.le(LAST_BLOCK));
    let taken: Option<i64> = diesel::update(block)
        .set(status_lists::next_serial.eq(status_lists::next_serial + i64::from(BLOCK)))
        .returning(status_lists::next_serial)
        .get_result(connection)
        .optional()?;
    let Some(next) = taken else { return Ok(None) };
    let shorter = status_lists::table.find(number).filter(status_lists::in_use_until.lt(until.as_micros()));
    diesel::update(shorter).set(status_lists::in_use_until.eq(until.as_micros())).execute(connection)?;
    let damaged = |problem| impossible_row("status_lists", number, problem);
    Ok(Some(Block {
        list: List { slot: Slot::of_list(number), number, name },
        permutation_key: key.try_into().map_err(|_| damaged("the key is not 32 bytes"))?,
        first: u32::try_from(next - i64::from(BLOCK)).map_err(|_| damaged("a serial number out of range"))?,
    }))
}

/// Begins a list, unless the slot that is its turn is still in use.
fn begin(connection: &mut AnyConnection, new: &NewList, now: Timestamp) -> QueryResult<bool> {
    let newest: Option<i64> = status_lists::table.select(diesel::dsl::max(status_lists::number)).first(connection)?;
    let number = newest.map_or(0, |newest| newest + 1);
    let before: Option<i64> = status_lists::table
        .find(number - i64::from(LISTS))
        .select(status_lists::number)
        .first(connection)
        .optional()?;
    if before.is_some() {
        return Ok(false);
    }
    diesel::insert_into(status_lists::table)
        .values((
            status_lists::number.eq(number),
            status_lists::name.eq(&new.name),
            status_lists::permutation_key.eq(new.permutation_key.as_slice()),
            status_lists::next_serial.eq(0_i64),
            status_lists::created_at.eq(now.as_micros()),
            status_lists::in_use_until.eq(now.as_micros()),
        ))
        .execute(connection)?;
    changes::note(connection, None, now)?;
    Ok(true)
}

/// Lets no list give out places any more. After a store went back in time nobody knows which ones it gave.
pub fn close_all(connection: &mut AnyConnection) -> QueryResult<()> {
    diesel::update(status_lists::table)
        .set(status_lists::next_serial.eq(i64::from(SIZE)))
        .execute(connection)
        .map(|_| ())
}

/// Drops lists that nothing can name since before `cutoff`, but the newest, which knows how far the numbers are; and
/// revocations from before it. Says how many lists.
pub fn prune(connection: &mut AnyConnection, cutoff: Timestamp, now: Timestamp) -> QueryResult<usize> {
    diesel::delete(revoked_status_indexes::table.filter(revoked_status_indexes::at.lt(cutoff.as_micros())))
        .execute(connection)?;
    let newest: Option<i64> = status_lists::table.select(diesel::dsl::max(status_lists::number)).first(connection)?;
    let over = status_lists::table
        .filter(status_lists::in_use_until.lt(cutoff.as_micros()))
        .filter(status_lists::number.lt(newest.unwrap_or_default()));
    let dropped = diesel::delete(over).execute(connection)?;
    if dropped > 0 {
        changes::note(connection, None, now)?;
    }
    Ok(dropped)
}

/// Gives a session that goes on a place, if it has none; gives the session as it is then, and its user as they are when
/// nothing that concerns the place can change.
pub fn assign(
    connection: &mut AnyConnection,
    id: SessionId,
    user: UserId,
    index: StatusIndex,
) -> QueryResult<Option<(Session, User)>> {
    dialect::lock_user(connection, user)?;
    let without = sessions::table
        .find(id.as_bytes().as_slice())
        .filter(sessions::status_index.is_null())
        .filter(sessions::ended_at.is_null());
    diesel::update(without).set(sessions::status_index.eq(index.to_stored())).execute(connection)?;
    let found = statements::find_with_user(connection, id.as_bytes())?;
    found.map(|(session, user)| Ok((session.try_into()?, user.try_into()?))).transpose()
}

/// Revokes the places of a user's sessions that go on, each of which gets another one when it is refreshed. The caller
/// holds the user's row.
pub fn revoke_of_user(connection: &mut AnyConnection, user: UserId, now: Timestamp) -> QueryResult<()> {
    let placed = sessions::table
        .filter(sessions::user_id.eq(user.get()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::status_index.is_not_null());
    let indexes: Vec<Option<i32>> = placed.select(sessions::status_index).load(connection)?;
    for index in indexes.into_iter().flatten() {
        diesel::insert_into(revoked_status_indexes::table)
            .values((
                revoked_status_indexes::status_index.eq(index),
                revoked_status_indexes::at.eq(now.as_micros()),
                revoked_status_indexes::user_id.eq(user.get()),
            ))
            .execute(connection)?;
    }
    diesel::update(placed).set(sessions::status_index.eq(None::<i32>)).execute(connection).map(|_| ())
}

/// Where a walk through what ended goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    ended_at: i64,
    status_index: i32,
}

/// Up to `limit` places of sessions that ended after `since`, behind `mark`, and where to go on. Sessions that had run
/// out before have none: their place may be another's by now.
pub fn ended(
    connection: &mut AnyConnection,
    since: Timestamp,
    mark: Option<Mark>,
    limit: usize,
) -> QueryResult<(Vec<StatusIndex>, Option<Mark>)> {
    let since = since.as_micros();
    let mark = mark.unwrap_or(Mark { ended_at: since, status_index: i32::MAX });
    let behind = sql::<Bool>("(ended_at, status_index) > (")
        .bind::<BigInt, _>(mark.ended_at)
        .sql(", ")
        .bind::<Integer, _>(mark.status_index)
        .sql(")");
    let rows: Vec<(Option<i64>, Option<i32>, i64)> = sessions::table
        .filter(sessions::ended_at.is_not_null())
        .filter(sessions::status_index.is_not_null())
        .filter(behind)
        .order((sessions::ended_at, sessions::status_index))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((sessions::ended_at, sessions::status_index, sessions::expires_at))
        .load(connection)?;
    let next = match rows.last() {
        Some((Some(ended_at), Some(status_index), _)) if rows.len() == limit => {
            Some(Mark { ended_at: *ended_at, status_index: *status_index })
        }
        _ => None,
    };
    let places = rows.into_iter().filter(|(_, _, expires_at)| *expires_at > since);
    Ok((places.filter_map(|(_, index, _)| StatusIndex::from_stored(index?)).collect(), next))
}

/// The places that were revoked after `since` while their sessions go on.
pub fn revoked(connection: &mut AnyConnection, since: Timestamp) -> QueryResult<Vec<StatusIndex>> {
    let rows: Vec<i32> = revoked_status_indexes::table
        .filter(revoked_status_indexes::at.gt(since.as_micros()))
        .select(revoked_status_indexes::status_index)
        .load(connection)?;
    Ok(rows.into_iter().filter_map(StatusIndex::from_stored).collect())
}

/// Both, of these users alone.
pub fn revoked_of(connection: &mut AnyConnection, users: &[UserId], since: Timestamp) -> QueryResult<Vec<StatusIndex>> {
    let (users, since) = (users.iter().map(|user| user.get()).collect::<Vec<_>>(), since.as_micros());
    let ended: Vec<Option<i32>> = sessions::table
        .filter(sessions::user_id.eq_any(users.clone()))
        .filter(sessions::ended_at.gt(since))
        .filter(sessions::expires_at.gt(since))
        .filter(sessions::status_index.is_not_null())
        .select(sessions::status_index)
        .load(connection)?;
    let revoked: Vec<i32> = revoked_status_indexes::table
        .filter(revoked_status_indexes::user_id.eq_any(users))
        .filter(revoked_status_indexes::at.gt(since))
        .select(revoked_status_indexes::status_index)
        .load(connection)?;
    Ok(ended.into_iter().flatten().chain(revoked).filter_map(StatusIndex::from_stored).collect())
}
