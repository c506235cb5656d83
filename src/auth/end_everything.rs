//! After a store went back in time: nothing that was given out before may be worth anything.

use super::Auth;
use super::bulk_revocation::{BulkFilter, end_all_matching};
use super::failure::Failure;
use crate::domain::client::Client;
use crate::domain::session::EndReason;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::dialect::{self, Lock};
use crate::store::{changes, clients, status_lists, users};

/// How far the numbers of users move on: further than any that was given out since the backup.
const IDS_SKIPPED: i64 = 1_000_000;

/// How far the security versions of clients move on, likewise.
const VERSIONS_SKIPPED: i64 = 1_000_000;

/// Retires all signing keys for new ones, skips user ids and closes status lists of which some may have been given out,
/// and ends every session.
/// Says how many sessions were ended.
pub async fn end_everything(auth: &Auth) -> Result<u64, Failure> {
    let now = auth.now();
    let nobody = Client::default();
    let turn = auth.key_source.turn(&auth.keyring, now, By::Operator, &nobody).await?;
    auth.write_change(move |connection| {
        dialect::lock(connection, Lock::Setup)?;
        audit_events::record(connection, &Event::new(Kind::StoreRestored, now, By::Operator, &nobody))?;
        turn.begin_anew(connection)?;
        users::skip_ids(connection, IDS_SKIPPED)?;
        status_lists::close_all(connection)?;
        clients::raise_security_versions(connection, VERSIONS_SKIPPED)?;
        changes::note(connection, None, now)
    })
    .await?;
    let (everything, nobody) = (BulkFilter::default(), Client::default());
    let ended = end_all_matching(auth, &everything, EndReason::StoreRestored, None, &nobody).await?;
    Ok(ended.unwrap_or_default())
}
