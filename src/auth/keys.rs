//! Which keys sign access tokens, which did and which will, for people and for verifiers to see. Nothing of a private
//! part leaves the store.

use std::sync::Arc;
use std::time::Duration;

use super::Auth;
use super::access_tokens::{Jwks, SHARED_KEY_ID};
use super::failure::Failure;
pub use crate::domain::key_schedule::KeyRole;
use crate::domain::key_schedule::signing;
use crate::domain::timestamp::Timestamp;
use crate::store::signing_keys::{self, StoredKey};

/// A key for people to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKeyFacts {
    /// Its id, which is in the header of its tokens.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: String,
    /// What it is for.
    pub role: KeyRole,
    /// When it was made; `None` for a configured key.
    pub created_at: Option<Timestamp>,
    /// From when on it signs, which may lie ahead; `None` for a configured key, and while nobody knows.
    pub signs_from: Option<Timestamp>,
    /// When another takes its place, which may lie ahead.
    pub superseded_at: Option<Timestamp>,
    /// Until when its tokens are accepted; `None` while nothing takes its place.
    pub accepted_until: Option<Timestamp>,
    /// Whether it was taken out of use before its last token had expired.
    pub was_retired_early: bool,
}

/// All keys: the one that signs, those that will, and then the newest first.
pub async fn list_keys(auth: &Auth) -> Result<Vec<SigningKeyFacts>, Failure> {
    let stored = auth.read(signing_keys::all).await?;
    let (now, life) = (auth.now(), auth.access_tokens.life());
    let schedules: Vec<_> = stored.iter().map(StoredKey::schedule).collect();
    let signs = signing(schedules.iter(), now).filter(|_| !auth.key_source.is_shared());
    let facts = stored.into_iter().zip(&schedules).enumerate().map(|(index, (key, schedule))| SigningKeyFacts {
        role: schedule.role(signs == Some(index), now, life),
        created_at: Some(schedule.created_at),
        signs_from: schedule.signs_from,
        superseded_at: schedule.superseded_at,
        accepted_until: schedule.accepted_until(life),
        was_retired_early: schedule.retired_at.is_some(),
        kid: key.kid,
        algorithm: key.algorithm,
    });
    let shared = auth.key_source.is_shared().then(|| SigningKeyFacts {
        kid: SHARED_KEY_ID.to_owned(),
        algorithm: "HS256".to_owned(),
        role: KeyRole::Current,
        created_at: None,
        signs_from: None,
        superseded_at: None,
        accepted_until: None,
        was_retired_early: false,
    });
    let mut keys: Vec<_> = shared.into_iter().chain(facts).collect();
    keys.sort_by_key(|key| key.role);
    Ok(keys)
}

/// The public parts of all keys whose tokens are accepted or will be, as verifiers get them.
pub fn published_keys(auth: &Auth) -> Result<Arc<Jwks>, Failure> {
    Ok(auth.access_tokens.jwks(auth.now())?)
}

/// After how long the key that signs is replaced without anybody's doing; `None` for never.
pub fn rotation_period(auth: &Auth) -> Option<Duration> {
    auth.policy.key_rotation.filter(|_| !auth.key_source.is_shared())
}
