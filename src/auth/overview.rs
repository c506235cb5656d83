//! The state of things for the dashboard, from what was counted: never from a look at all users, sessions or events.

use std::time::Duration;

use super::Auth;
use super::audit::activity::HourCount;
use super::condition::{LastBackup, LastPruning};
use super::failure::Failure;
use crate::domain::audit::Kind;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::files::Sizes;
use crate::store::meta::{self, Fact};
use crate::store::{audit_events, rollups};

pub use crate::store::rollups::REFRESHED;

/// What is counted by the hour for the dashboard.
const NAMES: [&str; 5] = [
    Kind::LoginSucceeded.as_str(),
    Kind::LoginFailed.as_str(),
    Kind::LoginDenied.as_str(),
    Kind::ReuseDetected.as_str(),
    REFRESHED,
];
/// How many alarms are named.
const ALARMS: i64 = 10;
/// How far back alarms are named.
const ALARMED: Duration = Duration::from_hours(24);

/// A refresh token was presented that had been replaced, and its session was ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// When.
    pub at: Timestamp,
    /// Which session.
    pub session: Option<SessionId>,
    /// Whose.
    pub user: Option<UserId>,
    /// The name, unless the account is gone.
    pub username: Option<String>,
}

/// Everything at once.
#[derive(Clone, Debug)]
pub struct Overview {
    /// When this was.
    pub at: Timestamp,
    /// What happened in each hour.
    pub hours: Vec<HourCount>,
    /// The last deletion of old rows, which counts sessions and accounts.
    pub pruning: Option<LastPruning>,
    /// The last copy of an SQLite store.
    pub backup: Option<LastBackup>,
    /// The newest alarms of the last 24 hours.
    pub alarms: Vec<Alarm>,
    /// When the oldest event happened that has no seal yet, if there is one.
    pub unsealed_since: Option<Timestamp>,
    /// The files of an SQLite store.
    pub files: Option<Sizes>,
    /// Since when the key that signs does so; `None` for a configured key.
    pub key_since: Option<Timestamp>,
    /// After how long another takes its place; `None` for never.
    pub key_rotation: Option<Duration>,
}

/// Looks, in three statements; hours are counted from the one that `since` is in.
pub async fn overview(auth: &Auth, since: Timestamp) -> Result<Overview, Failure> {
    let at = auth.now();
    let (hour, alarmed) = (rollups::hour_of(since), at.before(ALARMED));
    let (rows, ([pruning, backup], unsealed), alarms) = auth
        .read(move |connection| {
            Ok((
                rollups::of_names_since(connection, hour, &NAMES)?,
                meta::get_with_unsealed(connection, [Fact::LastPruning, Fact::LastBackup])?,
                audit_events::newest(connection, Kind::ReuseDetected, alarmed, ALARMS)?,
            ))
        })
        .await?;
    let count = |(hour, name, total): (i64, String, i64)| HourCount {
        hour: rollups::begin_of(hour),
        name,
        count: u64::try_from(total).unwrap_or_default(),
    };
    let alarm = |found: audit_events::Newest| Alarm {
        at: Timestamp::from_micros(found.occurred_at),
        session: found.session_id.and_then(|id| <[u8; 16]>::try_from(id).ok()).map(SessionId::from_bytes),
        user: found.subject_user_id.and_then(UserId::new),
        username: found.username,
    };
    Ok(Overview {
        at,
        hours: rows.into_iter().map(count).collect(),
        pruning: pruning.as_deref().and_then(LastPruning::of_text),
        backup: backup.as_deref().and_then(LastBackup::of_text),
        alarms: alarms.into_iter().map(alarm).collect(),
        unsealed_since: unsealed.map(Timestamp::from_micros),
        files: auth.store.file_sizes(),
        key_since: auth.access_tokens.current_since(at),
        key_rotation: auth.policy.key_rotation,
    })
}
