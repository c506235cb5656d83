//! The table `rollups`: how often what happened in each hour, so that nobody has to count events.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::rollups;
use crate::domain::timestamp::Timestamp;

/// Refreshes are counted here alone; they are no events.
pub const REFRESHED: &str = "session.refreshed";

const HOUR: i64 = 3_600_000_000;

/// The hour of a time, counted from 1970-01-01T00:00:00Z.
pub const fn hour_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(HOUR)
}

/// When an hour begins.
pub const fn begin_of(hour: i64) -> Timestamp {
    Timestamp::from_micros(hour.saturating_mul(HOUR))
}

/// Adds to what is counted. A first row that somebody else inserts at the same time makes one of the two transactions
/// fail, which is then to be tried again.
pub fn add(connection: &mut AnyConnection, hour: i64, name: &str, number: i64) -> QueryResult<()> {
    let known = rollups::table.find((hour, name));
    if diesel::update(known).set(rollups::total.eq(rollups::total + number)).execute(connection)? == 1 {
        return Ok(());
    }
    diesel::insert_into(rollups::table)
        .values((rollups::hour.eq(hour), rollups::name.eq(name), rollups::total.eq(number)))
        .execute(connection)
        .map(|_| ())
}

/// What was counted from this hour on, in the order of hours and names.
pub fn since(connection: &mut AnyConnection, hour: i64) -> QueryResult<Vec<(i64, String, i64)>> {
    rollups::table.filter(rollups::hour.ge(hour)).order((rollups::hour, rollups::name)).load(connection)
}

/// The same of these names alone.
pub fn of_names_since(
    connection: &mut AnyConnection,
    hour: i64,
    names: &[&str],
) -> QueryResult<Vec<(i64, String, i64)>> {
    rollups::table
        .filter(rollups::hour.ge(hour))
        .filter(rollups::name.eq_any(names.to_vec()))
        .order((rollups::hour, rollups::name))
        .load(connection)
}

/// Deletes what was counted in the oldest hour, if that is before this one; gives how many rows.
pub fn prune(connection: &mut AnyConnection, hour: i64) -> QueryResult<usize> {
    let oldest: Option<i64> = rollups::table.select(diesel::dsl::min(rollups::hour)).first(connection)?;
    match oldest {
        Some(oldest) if oldest < hour => {
            diesel::delete(rollups::table.filter(rollups::hour.eq(oldest))).execute(connection)
        }
        _ => Ok(0),
    }
}
