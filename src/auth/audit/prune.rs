//! Deleting the oldest days of the audit trail, whole days only, so that what is left can still be checked.

use serde_json::json;

use crate::auth::Auth;
use crate::auth::failure::Failure;
use crate::domain::audit::{By, Kind};
use crate::domain::client::Client;
use crate::domain::timestamp::Timestamp;
use crate::store::audit_events::{self, Event};
use crate::store::rollups;

/// How many events are deleted in one transaction.
pub const STEP: usize = 100;
const DAY: i64 = 24 * 3_600_000_000;

/// Deletes what was counted before `AUDIT_DAYS`, and says from which seal on the trail is kept: the days of the chain that
/// are older go, and the day that the chain is in stays. From where it is kept is an event itself, written before the first
/// row goes: what else is missing at the beginning was not deleted here.
pub async fn begin(auth: &Auth) -> Result<Option<i64>, Failure> {
    let now = auth.now();
    let cutoff = now.before(auth.policy.audit_life);
    let hour = rollups::hour_of(cutoff);
    while auth.write(move |connection| rollups::prune(connection, hour)).await? > 0 {}
    let Some(kept_from) = first_kept(auth, cutoff).await? else { return Ok(None) };
    auth.write(move |connection| {
        if audit_events::days_before(connection, kept_from)? == 0 {
            return Ok(());
        }
        audit_events::forget_days(connection, kept_from)?;
        let nobody = Client::default();
        let event = Event::new(Kind::AuditPruned, now, By::System, &nobody).with(json!({ "keptFrom": kept_from }));
        audit_events::record(connection, &event)
    })
    .await?;
    Ok(Some(kept_from))
}

/// Deletes up to [`STEP`] of the events before the first that is kept; says how many.
pub async fn delete_step(auth: &Auth, kept_from: i64) -> Result<usize, Failure> {
    let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
    auth.write(move |connection| audit_events::prune(connection, kept_from, limit)).await
}

/// The first seal of the first day that is kept.
async fn first_kept(auth: &Auth, cutoff: Timestamp) -> Result<Option<i64>, Failure> {
    let day = cutoff.as_micros().div_euclid(DAY);
    let days = auth.read(audit_events::days).await?;
    let kept = days.iter().find(|kept| kept.day >= day).or(days.last());
    Ok(kept.map(|kept| kept.first_number))
}
