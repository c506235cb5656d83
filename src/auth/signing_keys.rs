//! Which keys sign and verify: made when the store has none of the configured algorithm, read again when a token names
//! one that is not known yet.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Auth;
use super::access_tokens::{KeyError, KeySet, new_stored_key};
use super::failure::Failure;
use crate::config::{JwtAlgorithm, JwtConfig};
use crate::domain::client::Client;
use crate::domain::timestamp::Timestamp;
use crate::keyring::Keyring;
use crate::secret::Secret;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, Lock};
use crate::store::signing_keys::{self, StoredKey};
use crate::store::{QueryResult, Store};

/// Unknown keys make the store be read at most this often: anybody can name one (RFC 8725 §3.10).
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// What the key set is made of besides the store, and when that was last read.
pub(super) struct KeySource {
    algorithm: JwtAlgorithm,
    shared_key: Option<Secret<Vec<u8>>>,
    last_reload: Mutex<Option<Instant>>,
}

impl KeySource {
    pub(super) fn new(jwt: &JwtConfig) -> Self {
        Self { algorithm: jwt.algorithm, shared_key: jwt.shared_key.clone(), last_reload: Mutex::new(None) }
    }

    /// The keys as they stand in the store.
    pub(super) async fn load(&self, store: &Store, keyring: &Keyring) -> Result<KeySet, Failure> {
        let stored = store.read(signing_keys::all).await.map_err(Failure::Store)?;
        Ok(KeySet::new(&stored, self.shared_key.as_ref(), keyring)?)
    }

    /// Whether the key that signs is configured and not stored.
    pub(super) fn is_shared(&self) -> bool {
        self.shared_key.is_some()
    }

    fn may_reload(&self) -> bool {
        let mut last = self.last_reload.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= RELOAD_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// A new key of the configured algorithm; `None` for HS256, whose key is configured.
pub(super) fn make(auth: &Auth, now: Timestamp) -> Result<Option<StoredKey>, KeyError> {
    new_stored_key(auth.key_source.algorithm, &auth.keyring, now)
}

/// Reads the keys again at once.
pub(super) async fn reload_now(auth: &Auth) -> Result<(), Failure> {
    auth.access_tokens.replace_keys(auth.key_source.load(&auth.store, &auth.keyring).await?);
    Ok(())
}

/// Reads the keys again, unless that was done a moment ago.
pub(super) async fn reload(auth: &Auth) -> Result<(), Failure> {
    if auth.key_source.may_reload() {
        reload_now(auth).await?;
    }
    Ok(())
}

/// Sees to it that the key that signs is of the configured algorithm. Two instances that start together make one.
pub(super) async fn ensure_current(
    store: &Store,
    keyring: &Keyring,
    algorithm: JwtAlgorithm,
    now: Timestamp,
) -> Result<(), Failure> {
    let fits = move |connection: &mut AnyConnection| {
        let current = signing_keys::all(connection)?.into_iter().find(|key| key.superseded_at().is_none());
        Ok(current.map(|key| key.algorithm).as_deref() == stored_name(algorithm))
    };
    if store.read(fits).await.map_err(Failure::Store)? {
        return Ok(());
    }
    let new = new_stored_key(algorithm, keyring, now)?;
    store
        .write(move |connection| {
            dialect::lock(connection, Lock::Setup)?;
            match &new {
                _ if fits(connection)? => Ok(()),
                Some(key) => {
                    signing_keys::make_current(connection, key)?;
                    record_key(connection, key, By::System, now)
                }
                None => signing_keys::supersede_all(connection, now),
            }
        })
        .await
        .map_err(Failure::Store)
}

/// Puts down that a key was made.
pub(super) fn record_key(connection: &mut AnyConnection, key: &StoredKey, by: By, now: Timestamp) -> QueryResult<()> {
    let nobody = Client::default();
    let event = Event::new(Kind::SigningKeyCreated, now, by, &nobody);
    audit_events::record(connection, &event.with(json!({ "kid": key.kid, "algorithm": key.algorithm })))
}

/// The algorithm's name in the store, which has no key of HS256: that one is configured.
fn stored_name(algorithm: JwtAlgorithm) -> Option<&'static str> {
    (algorithm != JwtAlgorithm::Hs256).then(|| algorithm.as_str())
}

/// Seals with the newest secret what an older one had sealed.
pub(super) fn reseal(key: &StoredKey, keyring: &Keyring, nonce: [u8; 12]) -> Result<Vec<u8>, KeyError> {
    let sealed = || KeyError::Sealed { kid: key.kid.clone() };
    let damaged = |_| KeyError::Damaged { kid: key.kid.clone() };
    let old = keyring.find(&key.sealed_with).ok_or_else(sealed)?;
    let plain = old.open(key.kid.as_bytes(), &key.sealed_private_key).map_err(damaged)?;
    keyring.primary().seal(nonce, key.kid.as_bytes(), plain.expose()).map_err(damaged)
}
