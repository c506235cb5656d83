//! What happened in each hour, for the dashboard. Events are counted as they are sealed; refreshes, which are no events,
//! in the process, from where they are added to the store every ten seconds and at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::auth::Auth;
use crate::auth::failure::Failure;
use crate::domain::timestamp::Timestamp;
use crate::store::rollups;

/// What is counted in the process and not yet in the store.
#[derive(Debug, Default)]
pub(in crate::auth) struct Counters {
    refreshes: AtomicU64,
    /// The same, and events that were sealed here, since the start.
    all_refreshes: AtomicU64,
    all_sealed: AtomicU64,
}

impl Counters {
    /// One more refresh.
    pub(in crate::auth) fn count_refresh(&self) {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
        self.all_refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more events were sealed.
    pub(super) fn count_sealed(&self, number: usize) {
        self.all_sealed.fetch_add(u64::try_from(number).unwrap_or_default(), Ordering::Relaxed);
    }
}

/// What this instance did since its start: how many refreshes, and how many events it sealed.
pub fn since_start(auth: &Auth) -> (u64, u64) {
    let counters = &auth.counters;
    (counters.all_refreshes.load(Ordering::Relaxed), counters.all_sealed.load(Ordering::Relaxed))
}

/// How often something happened in an hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HourCount {
    /// When the hour begins.
    pub hour: Timestamp,
    /// A kind of event, or `session.refreshed`.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// Adds what was counted since the last time to the store. What cannot be added now is kept for the next time; what a
/// killed process had not added is lost.
pub async fn add_up(auth: &Auth) -> Result<(), Failure> {
    let refreshes = auth.counters.refreshes.swap(0, Ordering::Relaxed);
    if refreshes == 0 {
        return Ok(());
    }
    let hour = rollups::hour_of(auth.now());
    let number = i64::try_from(refreshes).unwrap_or(i64::MAX);
    let added = auth.write(move |connection| rollups::add(connection, hour, rollups::REFRESHED, number)).await;
    if added.is_err() {
        auth.counters.refreshes.fetch_add(refreshes, Ordering::Relaxed);
    }
    added
}

/// What was counted since the beginning of an hour, in order of hours and names. What did not happen has no row.
pub async fn activity(auth: &Auth, since: Timestamp) -> Result<Vec<HourCount>, Failure> {
    let hour = rollups::hour_of(since);
    let rows = auth.read(move |connection| rollups::since(connection, hour)).await?;
    let count = |(hour, name, total): (i64, String, i64)| HourCount {
        hour: rollups::begin_of(hour),
        name,
        count: u64::try_from(total).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(count).collect())
}
