//! Which sessions are meant: one type for what a page shows and for what is ended with one click, so that they agree.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::domain::role::Role;
use crate::domain::session::SessionKind;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::connection::AnyConnection;

/// Which sessions are meant; every part that is given must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BulkFilter {
    /// Only this user's.
    pub user_id: Option<UserId>,
    /// Only those of users with this role.
    pub role: Option<Role>,
    /// Only those of this kind.
    pub kind: Option<SessionKind>,
    /// Only those that were last used from this network.
    pub network: Option<ipnet::IpNet>,
    /// Only those whose agent has this in it, letter by letter.
    pub user_agent: Option<String>,
    /// Only those last used before this time.
    pub last_used_before: Option<Timestamp>,
    /// Only those last used at this time or later.
    pub last_used_since: Option<Timestamp>,
    /// Only those begun before this time.
    pub created_before: Option<Timestamp>,
    /// Only those begun at this time or later.
    pub created_since: Option<Timestamp>,
    /// Only those begun by this time.
    pub begun_by: Option<Timestamp>,
    /// Only those that have not expired at this time.
    pub live_at: Option<Timestamp>,
}

/// A condition of a query of this source.
pub(super) type Condition<Source> =
    Box<dyn BoxableExpression<Source, <AnyConnection as Connection>::Backend, SqlType = Bool>>;

/// The parts of a [`BulkFilter`] as conditions of a query of this source: `sessions` alone, or joined with others. As a
/// function for any source it would have to name every trait of every column. The role is left to the caller: whether
/// users are looked up one by one or all at once depends on how many sessions there are to look at.
macro_rules! conditions {
    ($source:ty, $filter:expr, $connection:expr) => {{
        use diesel::dsl::sql;
        use diesel::sql_types::{Bool, Text};

        use crate::store::schema::sessions;
        use crate::store::{address, dialect};

        let filter: &BulkFilter = $filter;
        let mut all: Vec<Condition<$source>> = Vec::new();
        if let Some(user) = filter.user_id {
            all.push(Box::new(sessions::user_id.eq(user.get())));
        }
        if let Some(kind) = filter.kind {
            all.push(Box::new(sessions::kind.eq(kind.as_str())));
        }
        if let Some(network) = filter.network {
            let range = (address::to_bytes(network.network()), address::to_bytes(network.broadcast()));
            all.push(Box::new(sessions::rotated_ip.ge(range.0).assume_not_null()));
            all.push(Box::new(sessions::rotated_ip.le(range.1).assume_not_null()));
        }
        if let Some(part) = &filter.user_agent {
            let function = dialect::position_function($connection);
            let found = sql::<Bool>(&format!("coalesce({function}(sessions.user_agent, "));
            all.push(Box::new(found.bind::<Text, _>(part.clone()).sql("), 0) > 0")));
        }
        if let Some(time) = filter.last_used_before {
            all.push(Box::new(sessions::rotated_at.lt(time.as_micros())));
        }
        if let Some(time) = filter.last_used_since {
            all.push(Box::new(sessions::rotated_at.ge(time.as_micros())));
        }
        if let Some(time) = filter.created_before {
            all.push(Box::new(sessions::created_at.lt(time.as_micros())));
        }
        if let Some(time) = filter.created_since {
            all.push(Box::new(sessions::created_at.ge(time.as_micros())));
        }
        if let Some(time) = filter.begun_by {
            all.push(Box::new(sessions::created_at.le(time.as_micros())));
        }
        if let Some(now) = filter.live_at {
            all.push(Box::new(sessions::ended_at.is_null()));
            all.push(Box::new(sessions::idle_expires_at.gt(now.as_micros())));
            all.push(Box::new(sessions::expires_at.gt(now.as_micros())));
        }
        all
    }};
}
pub(super) use conditions;
