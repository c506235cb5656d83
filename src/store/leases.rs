//! The table `leases`: which instance does what only one may do at a time.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::leases;
use crate::domain::timestamp::Timestamp;

/// Takes or keeps a lease until `until`, which lies ahead; `false` while somebody else has it. A lease that would last more than twice as long
/// was taken by a clock that is ahead, and holds nobody up.
pub fn take(
    connection: &mut AnyConnection,
    name: &str,
    holder: &[u8; 16],
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<bool> {
    let (now, length) = (now.as_micros(), until.since(now).as_micros());
    let too_far = now.saturating_add(i64::try_from(length).unwrap_or(i64::MAX).saturating_mul(2));
    let is_over = leases::expires_at.le(now).or(leases::expires_at.gt(too_far));
    let free = leases::table.find(name).filter(leases::holder.eq(holder.as_slice()).or(is_over));
    let values = (leases::holder.eq(holder.as_slice()), leases::expires_at.eq(until.as_micros()));
    if diesel::update(free).set(values).execute(connection)? == 1 {
        return Ok(true);
    }
    let held: Option<i64> = leases::table.find(name).select(leases::expires_at).first(connection).optional()?;
    if held.is_some() {
        return Ok(false);
    }
    // Two that come here at once cannot both insert: the other's transaction fails and it asks again later.
    diesel::insert_into(leases::table)
        .values((leases::name.eq(name), leases::holder.eq(holder.as_slice()), leases::expires_at.eq(until.as_micros())))
        .execute(connection)
        .map(|_| true)
}

/// Gives a lease up, if this holder has it.
pub fn release(connection: &mut AnyConnection, name: &str, holder: &[u8; 16]) -> QueryResult<()> {
    let held = leases::table.find(name).filter(leases::holder.eq(holder.as_slice()));
    diesel::delete(held).execute(connection).map(|_| ())
}
