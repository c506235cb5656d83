//! The table `known_networks`: from where users signed in lately.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::dialect::upsert;
use super::schema::known_networks;
use crate::domain::network::Network;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = known_networks, primary_key(user_id, network))]
struct Row {
    user_id: i64,
    network: String,
    last_success_at: i64,
}

/// When the user last signed in from the network, as far as that is noted. Nobody's is looked for like anybody's, so that
/// it takes as long.
pub fn last_success(
    connection: &mut AnyConnection,
    user: Option<UserId>,
    network: Network,
) -> QueryResult<Option<Timestamp>> {
    let at: Option<i64> = known_networks::table
        .find((user.map_or(0, UserId::get), network.to_string()))
        .select(known_networks::last_success_at)
        .first(connection)
        .optional()?;
    Ok(at.map(Timestamp::from_micros))
}

/// Notes that the user signed in from the network, unless it is not known which that is.
pub fn note(connection: &mut AnyConnection, user: UserId, network: Network, now: Timestamp) -> QueryResult<()> {
    if network == Network::Unknown {
        return Ok(());
    }
    let row = &Row { user_id: user.get(), network: network.to_string(), last_success_at: now.as_micros() };
    let key = (known_networks::user_id, known_networks::network);
    upsert!(connection, known_networks::table, key, row).map(|_| ())
}

/// Forgets from where a user signed in.
pub fn forget(connection: &mut AnyConnection, user: UserId) -> QueryResult<()> {
    diesel::delete(known_networks::table.filter(known_networks::user_id.eq(user.get()))).execute(connection).map(|_| ())
}

/// Deletes up to `limit` of those that were last used before `cutoff`; says how many.
pub fn prune(connection: &mut AnyConnection, cutoff: Timestamp, limit: i64) -> QueryResult<usize> {
    let old: Vec<(i64, String)> = known_networks::table
        .filter(known_networks::last_success_at.lt(cutoff.as_micros()))
        .order(known_networks::last_success_at)
        .limit(limit)
        .select((known_networks::user_id, known_networks::network))
        .load(connection)?;
    for (user, network) in &old {
        let row = known_networks::table.find((user, network));
        diesel::delete(row.filter(known_networks::last_success_at.lt(cutoff.as_micros()))).execute(connection)?;
    }
    Ok(old.len())
}
