//! Many sessions at once: counting and ending all that a filter matches, a batch at a time.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::end::End;
use crate::domain::role::Role;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::connection::AnyConnection;
use crate::store::error::impossible_row;
use crate::store::schema::{sessions, users};
use crate::store::{address, changes, dialect};

/// Which live sessions are meant; every part that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct BulkFilter {
    /// Only this user's.
    pub user_id: Option<UserId>,
    /// Only those of users with this role.
    pub role: Option<Role>,
    /// Only those that were last used from this network.
    pub network: Option<ipnet::IpNet>,
    /// Only those whose agent has this in it, letter by letter.
    pub user_agent: Option<String>,
    /// Only those last used before this time.
    pub last_used_before: Option<Timestamp>,
    /// Only those begun before this time.
    pub created_before: Option<Timestamp>,
    /// Only those begun by this time.
    pub begun_by: Option<Timestamp>,
    /// Only those that have not expired at this time.
    pub live_at: Option<Timestamp>,
}

type Condition = Box<dyn BoxableExpression<sessions::table, <AnyConnection as Connection>::Backend, SqlType = Bool>>;

impl BulkFilter {
    fn conditions(&self, connection: &mut AnyConnection) -> Vec<Condition> {
        let mut all: Vec<Condition> = vec![Box::new(sessions::ended_at.is_null())];
        if let Some(user) = self.user_id {
            all.push(Box::new(sessions::user_id.eq(user.get())));
        }
        if let Some(role) = self.role {
            let of_role = users::table.filter(users::role.eq(role.as_str())).select(users::id);
            all.push(Box::new(sessions::user_id.eq_any(of_role)));
        }
        if let Some(network) = self.network {
            let range = (address::to_bytes(network.network()), address::to_bytes(network.broadcast()));
            all.push(Box::new(sessions::rotated_ip.ge(range.0).assume_not_null()));
            all.push(Box::new(sessions::rotated_ip.le(range.1).assume_not_null()));
        }
        if let Some(part) = &self.user_agent {
            let function = dialect::position_function(connection);
            let found = sql::<Bool>(&format!("coalesce({function}(user_agent, "))
                .bind::<Text, _>(part.clone())
                .sql("), 0) > 0");
            all.push(Box::new(found));
        }
        if let Some(time) = self.last_used_before {
            all.push(Box::new(sessions::rotated_at.lt(time.as_micros())));
        }
        if let Some(time) = self.created_before {
            all.push(Box::new(sessions::created_at.lt(time.as_micros())));
        }
        if let Some(time) = self.begun_by {
            all.push(Box::new(sessions::created_at.le(time.as_micros())));
        }
        if let Some(now) = self.live_at {
            all.push(Box::new(sessions::idle_expires_at.gt(now.as_micros())));
            all.push(Box::new(sessions::expires_at.gt(now.as_micros())));
        }
        all
    }
}

/// How many sessions the filter matches.
pub fn count(connection: &mut AnyConnection, filter: &BulkFilter) -> QueryResult<i64> {
    let mut query = sessions::table.count().into_boxed();
    for condition in filter.conditions(connection) {
        query = query.filter(condition);
    }
    query.get_result(connection)
}

/// Ends up to `limit` of the sessions behind `after` that the filter matches, in one update that asks for all of it
/// again. Says how many, and behind which to go on, if there may be more.
pub fn end_batch(
    connection: &mut AnyConnection,
    filter: &BulkFilter,
    after: Option<SessionId>,
    limit: i64,
    end: &End<'_>,
) -> QueryResult<(usize, Option<SessionId>)> {
    let mut batch = sessions::table.select(sessions::id).order(sessions::id).limit(limit).into_boxed();
    for condition in filter.conditions(connection) {
        batch = batch.filter(condition);
    }
    if let Some(after) = after {
        batch = batch.filter(sessions::id.gt(after.as_bytes().to_vec()));
    }
    let ids: Vec<Vec<u8>> = batch.load(connection)?;
    let Some(last) = ids.iter().max() else { return Ok((0, None)) };
    let last = <[u8; 16]>::try_from(last.as_slice())
        .map(SessionId::from_bytes)
        .map_err(|_| impossible_row("sessions", format!("{last:02x?}"), "the id is not 16 bytes"))?;
    let more = i64::try_from(ids.len()).is_ok_and(|found| found == limit).then_some(last);
    let mut update = diesel::update(sessions::table).set(end.changes()).into_boxed().filter(sessions::id.eq_any(ids));
    for condition in filter.conditions(connection) {
        update = update.filter(condition);
    }
    let ended = update.execute(connection)?;
    changes::note(connection, filter.user_id, end.at)?;
    Ok((ended, more))
}
