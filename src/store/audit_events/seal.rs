//! The chain that events are sealed in, as it is stored: its end, where its days begin, and what has no seal yet.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::StoredEvent;
use crate::domain::audit::Kind;
use crate::store::connection::AnyConnection;
use crate::store::error::impossible_row;
use crate::store::schema::{audit_days, audit_events, audit_heads};

/// The end of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The last seal's number; 0 before the first.
    pub number: i64,
    /// The last seal's digest.
    pub digest: [u8; 32],
    /// The day of the chain, counted from 1970-01-01.
    pub day: i64,
}

/// Where a day of the chain begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Day {
    /// Counted from 1970-01-01.
    pub day: i64,
    /// The number of its first seal.
    pub first_number: i64,
    /// The digest that the day before ended with.
    pub head_before: [u8; 32],
}

const NAME: &str = "head";

/// The end of the chain, as the last who sealed left it.
pub fn head(connection: &mut AnyConnection) -> QueryResult<Head> {
    let (number, digest, day): (i64, Vec<u8>, i64) = audit_heads::table
        .find(NAME)
        .select((audit_heads::number, audit_heads::digest, audit_heads::day))
        .first(connection)?;
    Ok(Head { number, digest: to_digest("audit_heads", NAME, digest)?, day })
}

/// Moves the end of the chain, if it is still where it was seen; `false` when somebody else has sealed meanwhile. Until
/// the transaction ends nobody else can move it.
pub fn move_head(connection: &mut AnyConnection, seen: &Head, to: &Head) -> QueryResult<bool> {
    let unmoved = audit_heads::table
        .find(NAME)
        .filter(audit_heads::number.eq(seen.number))
        .filter(audit_heads::digest.eq(seen.digest.as_slice()));
    let moved = diesel::update(unmoved)
        .set((
            audit_heads::number.eq(to.number),
            audit_heads::digest.eq(to.digest.as_slice()),
            audit_heads::day.eq(to.day),
        ))
        .execute(connection)?;
    Ok(moved == 1)
}

/// Up to `limit` events without a seal, by id. One that is committed late is there the next time.
pub fn unsealed(connection: &mut AnyConnection, limit: i64) -> QueryResult<Vec<StoredEvent>> {
    audit_events::table
        .filter(audit_events::seal_number.is_null())
        .order(audit_events::id)
        .limit(limit)
        .select(StoredEvent::as_select())
        .load(connection)
}

/// How many events have no seal yet.
pub fn count_unsealed(connection: &mut AnyConnection) -> QueryResult<i64> {
    audit_events::table.filter(audit_events::seal_number.is_null()).count().get_result(connection)
}

/// Gives an event its seal; `false` when it has one.
pub fn give_seal(connection: &mut AnyConnection, id: i64, number: i64, digest: &[u8; 32]) -> QueryResult<bool> {
    let bare = audit_events::table.find(id).filter(audit_events::seal_number.is_null());
    let sealed = diesel::update(bare)
        .set((audit_events::seal_number.eq(number), audit_events::seal_digest.eq(digest.as_slice())))
        .execute(connection)?;
    Ok(sealed == 1)
}

/// Notes that a day of the chain begins.
pub fn begin_day(connection: &mut AnyConnection, day: &Day) -> QueryResult<()> {
    diesel::insert_into(audit_days::table)
        .values((
            audit_days::day.eq(day.day),
            audit_days::first_number.eq(day.first_number),
            audit_days::head_before.eq(day.head_before.as_slice()),
        ))
        .execute(connection)
        .map(|_| ())
}

/// The days of the chain that are there, in order.
pub fn days(connection: &mut AnyConnection) -> QueryResult<Vec<Day>> {
    let rows: Vec<(i64, i64, Vec<u8>)> = audit_days::table.order(audit_days::day).load(connection)?;
    rows.into_iter()
        .map(|(day, first_number, head_before)| {
            Ok(Day { day, first_number, head_before: to_digest("audit_days", day, head_before)? })
        })
        .collect()
}

/// How many days of the chain begin before this number.
pub fn days_before(connection: &mut AnyConnection, number: i64) -> QueryResult<i64> {
    audit_days::table.filter(audit_days::first_number.lt(number)).count().get_result(connection)
}

/// Forgets the days of the chain that begin before this number.
pub fn forget_days(connection: &mut AnyConnection, number: i64) -> QueryResult<()> {
    diesel::delete(audit_days::table.filter(audit_days::first_number.lt(number))).execute(connection).map(|_| ())
}

/// Deletes up to `limit` events with a seal below this number; says how many.
pub fn prune(connection: &mut AnyConnection, number: i64, limit: i64) -> QueryResult<usize> {
    let old: Vec<i64> = audit_events::table
        .filter(audit_events::seal_number.lt(number))
        .order(audit_events::seal_number)
        .limit(limit)
        .select(audit_events::id)
        .load(connection)?;
    diesel::delete(audit_events::table.filter(audit_events::id.eq_any(old))).execute(connection)
}

/// Up to `limit` sealed events from this number on, in the order of the chain.
pub fn sealed_from(connection: &mut AnyConnection, number: i64, limit: i64) -> QueryResult<Vec<StoredEvent>> {
    audit_events::table
        .filter(audit_events::seal_number.ge(number))
        .order(audit_events::seal_number)
        .limit(limit)
        .select(StoredEvent::as_select())
        .load(connection)
}

/// The number of the last seal that an event has, wherever the chain is said to end.
pub fn end_of_seals(connection: &mut AnyConnection) -> QueryResult<Option<i64>> {
    audit_events::table
        .filter(audit_events::seal_number.is_not_null())
        .order(audit_events::seal_number.desc())
        .select(audit_events::seal_number)
        .first(connection)
        .optional()
        .map(Option::flatten)
}

/// What the newest event says that tells of a deletion of old days.
pub fn kept_from(connection: &mut AnyConnection) -> QueryResult<Option<String>> {
    audit_events::table
        // As a literal, so that the planner knows how few there are.
        .filter(sql::<Bool>(&format!("kind = '{}'", Kind::AuditPruned.as_str())))
        .order((audit_events::occurred_at.desc(), audit_events::id.desc()))
        .select(audit_events::detail)
        .first(connection)
        .optional()
}

fn to_digest(table: &'static str, row: impl ToString, bytes: Vec<u8>) -> QueryResult<[u8; 32]> {
    bytes.try_into().map_err(|_| impossible_row(table, row, "a digest is not 32 bytes"))
}
