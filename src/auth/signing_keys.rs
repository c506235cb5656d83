//! Which keys sign and verify: made when the store has none of the configured algorithm, read again when their schedule
//! changed, or when a token names one that is not known yet.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Auth;
use super::access_tokens::{KeyError, KeySet, stored_key};
use super::entropy;
use super::failure::Failure;
use super::key_schedule::Turn;
use crate::config::{JwtAlgorithm, JwtConfig};
use crate::domain::audit::By;
use crate::domain::client::Client;
use crate::domain::timestamp::Timestamp;
use crate::keyring::Keyring;
use crate::secret::Secret;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::signing_keys::{self, StoredKey};

/// Unknown keys make the store be read at most this often: anybody can name one (RFC 8725 §3.10).
const RELOAD_EVERY: Duration = Duration::from_secs(5);
/// How many keys the schedule can want at once: one that signs and one that waits.
const SPARES: usize = 2;

/// What the key set is made of besides the store, and when that was last read.
pub(super) struct KeySource {
    algorithm: JwtAlgorithm,
    shared_key: Option<Secret<Vec<u8>>>,
    token_life: Duration,
    jwks_max_age: Duration,
    last_reload: Mutex<Option<Instant>>,
    reading: tokio::sync::Mutex<()>,
}

impl KeySource {
    pub(super) fn new(jwt: &JwtConfig) -> Self {
        Self {
            algorithm: jwt.algorithm,
            shared_key: jwt.shared_key.clone(),
            token_life: jwt.access_token_life,
            jwks_max_age: jwt.jwks_max_age,
            last_reload: Mutex::new(None),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The keys as they stand in the store; those that are `known` are not unsealed again.
    pub(super) async fn load(
        &self,
        store: &Store,
        keyring: &Keyring,
        known: Option<&KeySet>,
    ) -> Result<KeySet, Failure> {
        let stored = store.read(signing_keys::all).await.map_err(Failure::Store)?;
        Ok(KeySet::new(&stored, self.shared_key.as_ref(), keyring, known)?)
    }

    /// Whether the key that signs is configured and not stored.
    pub(super) fn is_shared(&self) -> bool {
        self.shared_key.is_some()
    }

    /// Gets ready to change the schedule of the keys: whatever the transaction may need is made before it.
    pub(super) async fn turn(
        &self,
        keyring: &Keyring,
        now: Timestamp,
        by: By,
        client: &Client,
    ) -> Result<Turn, Failure> {
        let algorithm = self.algorithm;
        // A key of RSA takes longer than anything else may hold up requests.
        let pairs = tokio::task::spawn_blocking(move || {
            (0..SPARES).map(|_| entropy::signing_key(algorithm)).collect::<Result<Vec<_>, _>>()
        });
        let pairs = pairs.await.map_err(|_| Failure::Store(StoreError::Panicked))??;
        let spares: Vec<StoredKey> = pairs
            .into_iter()
            .flatten()
            .map(|pkcs8| stored_key(algorithm, &pkcs8, keyring, now))
            .collect::<Result<_, _>>()?;
        Ok(Turn {
            algorithm: (algorithm != JwtAlgorithm::Hs256).then(|| algorithm.as_str()),
            token_life: self.token_life,
            jwks_max_age: self.jwks_max_age,
            now,
            by,
            client: client.clone(),
            spares,
        })
    }

    /// Sees to it that a key of the configured algorithm signs, or will as soon as verifiers can know it, and that
    /// there is one after it. Two instances that start together make no more than that.
    pub(super) async fn ensure(&self, store: &Store, keyring: &Keyring, now: Timestamp) -> Result<(), Failure> {
        let algorithm = (self.algorithm != JwtAlgorithm::Hs256).then(|| self.algorithm.as_str());
        let stored = store.read(signing_keys::all).await.map_err(Failure::Store)?;
        if super::key_schedule::is_in_order(&stored, algorithm, now) {
            return Ok(());
        }
        let turn = self.turn(keyring, now, By::System, &Client::default()).await?;
        store.write(move |connection| turn.ensure(connection)).await.map_err(Failure::Store)
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

/// Reads the keys again at once. One reading after the other: what was read earlier must not take the place of what was
/// read later, or a key that was retired meanwhile would be good again.
pub(super) async fn reload_now(auth: &Auth) -> Result<(), Failure> {
    let _reading = auth.key_source.reading.lock().await;
    let known = auth.access_tokens.keys();
    let keys = auth.key_source.load(&auth.store, &auth.keyring, Some(&known)).await?;
    auth.access_tokens.replace_keys(keys);
    Ok(())
}

/// Reads the keys again, unless that was done a moment ago.
pub(super) async fn reload(auth: &Auth) -> Result<(), Failure> {
    if auth.key_source.may_reload() {
        reload_now(auth).await?;
    }
    Ok(())
}

/// Seals with the newest secret what an older one had sealed.
pub(super) fn reseal(key: &StoredKey, keyring: &Keyring, nonce: [u8; 12]) -> Result<Vec<u8>, KeyError> {
    let sealed = || KeyError::Sealed { kid: key.kid.clone() };
    let damaged = |_| KeyError::Damaged { kid: key.kid.clone() };
    let old = keyring.find(&key.sealed_with).ok_or_else(sealed)?;
    let plain = old.open(key.kid.as_bytes(), &key.sealed_private_key).map_err(damaged)?;
    keyring.primary().seal(nonce, key.kid.as_bytes(), plain.expose()).map_err(damaged)
}
