//! Putting another signing key in place: as verifiers get to know it, at once in an emergency, or of its own accord when
//! the key that signs has done so for long enough.

use super::bulk_revocation::BulkFilter;
use super::failure::Failure;
use super::key_schedule::{Appointed, Force, Retirement};
use super::session_search::{StateFilter, Tally, count_sessions};
use super::{Actor, Auth};
use crate::domain::audit::By;
use crate::domain::client::Client;
use crate::domain::session::SessionKind;
use crate::domain::timestamp::Timestamp;
use crate::store::signing_keys;

/// How a key takes the place of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Haste {
    /// As soon as verifiers can know it. Tokens of the key before it are accepted until they expire.
    None,
    /// At once. Tokens of every key before it are refused from now on.
    Emergency,
}

/// Which key signs from when on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// The key.
    pub kid: String,
    /// From when on.
    pub signs_from: Timestamp,
    /// Whether that had been arranged before, so that nothing was changed.
    pub was_scheduled: bool,
    /// The keys whose tokens are refused from now on.
    pub retired: Vec<String>,
}

/// Why the keys stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key that signs is configured.
    #[error(
        "access tokens are signed with JWT_KEY, which is configured: to replace it, set another JWT_KEY and restart. \
         Tokens that it signed are refused then"
    )]
    SharedKey,
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why a key stays in use.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// It signs.
    #[error("this key signs: put another in its place first, which a rotation does")]
    Signs,
    /// It will sign.
    #[error(
        "this key signs from {0} on: a rotation in an emergency makes it sign at once, and then it can be replaced"
    )]
    Scheduled(Timestamp),
    /// Tokens of it may still be about.
    #[error("tokens that this key signed are about until {0}, and would be refused")]
    StillAccepted(Timestamp),
    /// It is of no use any more.
    #[error("this key is retired already")]
    Already,
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Lets the next key sign. While that has been arranged and lies ahead, another rotation changes nothing.
pub async fn rotate_keys(auth: &Auth, actor: Actor<'_>, haste: Haste, client: &Client) -> Result<Rotated, RotateError> {
    if auth.key_source.is_shared() {
        return Err(RotateError::SharedKey);
    }
    let turn = auth.key_source.turn(&auth.keyring, auth.now(), actor.by(), client).await?;
    let credentials = actor.credentials();
    let appointed = auth
        .write_change(move |connection| {
            if !credentials.still_hold(connection)? {
                return Ok(None);
            }
            match haste {
                Haste::None => turn.rotate(connection),
                Haste::Emergency => turn.replace(connection),
            }
            .map(Some)
        })
        .await?;
    let Appointed { kid, signs_from, was_appointed, retired } = appointed.ok_or(RotateError::NoLongerPermitted)?;
    if !was_appointed {
        tracing::info!(kid, signs_from = %signs_from, retired = retired.len(), "signing keys were rotated");
    }
    Ok(Rotated { kid, signs_from, was_scheduled: was_appointed, retired })
}

/// Takes a key out of use that does not sign. Tokens of it that may still be about are refused by `force` alone.
pub async fn retire_key(
    auth: &Auth,
    actor: Actor<'_>,
    kid: &str,
    force: Force,
    client: &Client,
) -> Result<(), RetireError> {
    let turn = auth.key_source.turn(&auth.keyring, auth.now(), actor.by(), client).await?;
    let (credentials, wanted) = (actor.credentials(), kid.to_owned());
    let retirement = auth
        .write_change(move |connection| {
            if !credentials.still_hold(connection)? {
                return Ok(None);
            }
            turn.retire(connection, &wanted, force).map(Some)
        })
        .await?;
    match retirement.ok_or(RetireError::NoLongerPermitted)? {
        Retirement::Done => {
            tracing::info!(kid, "a signing key was retired");
            Ok(())
        }
        Retirement::Unknown => Err(RetireError::NotFound),
        Retirement::Signs => Err(RetireError::Signs),
        Retirement::Appointed(at) => Err(RetireError::Scheduled(at)),
        Retirement::StillAccepted(until) => Err(RetireError::StillAccepted(until)),
        Retirement::Already => Err(RetireError::Already),
    }
}

/// How many sessions have an access token that has not expired: so many clients must refresh after an emergency.
pub async fn count_tokens_in_use(auth: &Auth) -> Result<Tally, Failure> {
    let since = auth.now().before(auth.access_tokens.life());
    let filter = BulkFilter { kind: Some(SessionKind::Api), last_used_since: Some(since), ..BulkFilter::default() };
    count_sessions(auth, filter, StateFilter::Live).await
}

/// Rotates when the key that signs has done so for as long as it may; says whether it was time.
pub(super) async fn rotate_when_due(auth: &Auth) -> Result<bool, Failure> {
    let Some(period) = auth.policy.key_rotation else { return Ok(false) };
    let now = auth.now();
    let is_due = auth.access_tokens.current_since(now).is_some_and(|since| now.since(since) >= period);
    if !is_due {
        return Ok(false);
    }
    let turn = auth.key_source.turn(&auth.keyring, now, By::System, &Client::default()).await?;
    let appointed = auth.write_change(move |connection| turn.rotate(connection)).await?;
    if !appointed.was_appointed {
        tracing::info!(kid = appointed.kid, signs_from = %appointed.signs_from, "signing keys were rotated");
    }
    Ok(!appointed.was_appointed)
}

/// Deletes keys that have been of no use since `cutoff`; says how many.
pub(super) async fn delete_old_keys(auth: &Auth, cutoff: Timestamp) -> Result<usize, Failure> {
    let life = auth.access_tokens.life();
    let is_old =
        move |key: &signing_keys::StoredKey| key.schedule().accepted_until(life).is_some_and(|until| until <= cutoff);
    if !auth.read(signing_keys::all).await?.iter().any(is_old) {
        return Ok(0);
    }
    auth.write(move |connection| {
        let old: Vec<_> = signing_keys::all(connection)?.into_iter().filter(is_old).collect();
        old.iter().try_for_each(|key| signing_keys::delete(connection, &key.kid))?;
        Ok(old.len())
    })
    .await
}
