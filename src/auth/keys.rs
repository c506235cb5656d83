//! Which keys sign access tokens, and which did, for people to see. Nothing of a private part leaves the store.

use super::Auth;
use super::access_tokens::{SHARED_KEY_ID, last_accepted};
use super::failure::Failure;
use crate::domain::timestamp::Timestamp;
use crate::store::signing_keys;

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyRole {
    /// It signs.
    Current,
    /// It signed; its tokens are accepted until the last one has expired.
    Previous,
    /// None of its tokens is accepted any more.
    Retired,
}

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
    /// When another took its place.
    pub superseded_at: Option<Timestamp>,
    /// Until when its tokens are accepted; `None` for the one that signs.
    pub accepted_until: Option<Timestamp>,
}

/// All keys: the one that signs, and then the newest first.
pub async fn list_keys(auth: &Auth) -> Result<Vec<SigningKeyFacts>, Failure> {
    let stored = auth.read(signing_keys::all).await?;
    let (now, life) = (auth.now(), auth.access_tokens.life());
    let facts = stored.into_iter().map(|key| {
        let accepted_until = key.superseded_at().map(|at| last_accepted(at, life));
        SigningKeyFacts {
            role: match accepted_until {
                None => KeyRole::Current,
                Some(until) if until > now => KeyRole::Previous,
                Some(_) => KeyRole::Retired,
            },
            created_at: Some(key.created_at()),
            // Keys that were retired at once, for what was signed with them was not to be trusted, have no such time.
            superseded_at: key.superseded_at().filter(|at| at.as_micros() > 0),
            accepted_until: accepted_until.filter(|until| *until > key.created_at()),
            kid: key.kid,
            algorithm: key.algorithm,
        }
    });
    let shared = auth.key_source.is_shared().then(|| SigningKeyFacts {
        kid: SHARED_KEY_ID.to_owned(),
        algorithm: "HS256".to_owned(),
        role: KeyRole::Current,
        created_at: None,
        superseded_at: None,
        accepted_until: None,
    });
    let mut keys: Vec<_> = shared.into_iter().chain(facts).collect();
    keys.sort_by_key(|key| key.role != KeyRole::Current);
    Ok(keys)
}
