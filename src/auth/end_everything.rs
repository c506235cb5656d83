//! After a store went back in time: nothing that was given out before may be worth anything.

use super::bulk_revocation::{BulkFilter, end_all_matching};
use super::failure::Failure;
use super::{Auth, signing_keys};
use crate::domain::client::Client;
use crate::domain::session::EndReason;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::dialect::{self, Lock};
use crate::store::{changes, signing_keys as keys, users};

/// How far the numbers of users move on: further than any that was given out since the backup.
const IDS_SKIPPED: i64 = 1_000_000;

/// Retires all signing keys for a new one, skips user ids that may have been given out, and ends every session.
/// Says how many sessions were ended.
pub async fn end_everything(auth: &Auth) -> Result<u64, Failure> {
    let now = auth.now();
    let key = signing_keys::make(auth, now)?;
    auth.write_change(move |connection| {
        dialect::lock(connection, Lock::Setup)?;
        let nobody = Client::default();
        audit_events::record(connection, &Event::new(Kind::StoreRestored, now, By::Operator, &nobody))?;
        keys::retire_all(connection)?;
        audit_events::record(connection, &Event::new(Kind::SigningKeyRetired, now, By::Operator, &nobody))?;
        if let Some(key) = &key {
            keys::make_current(connection, key)?;
            signing_keys::record_key(connection, key, By::Operator, now)?;
        }
        users::skip_ids(connection, IDS_SKIPPED)?;
        changes::note(connection, None, now)
    })
    .await?;
    let (everything, nobody) = (BulkFilter::default(), Client::default());
    let ended = end_all_matching(auth, &everything, EndReason::StoreRestored, None, &nobody).await?;
    Ok(ended.unwrap_or_default())
}
