//! Signing keys, unsealed and ready to use.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};

use super::jwks::{Jwks, PublicJwk};
use super::{TYPE, signer};
use crate::auth::entropy::{self, NoEntropy};
use crate::config::JwtAlgorithm;
use crate::domain::key_schedule::{self, KeyRole, KeySchedule};
use crate::domain::timestamp::Timestamp;
use crate::keyring::Keyring;
use crate::secret::Secret;
use crate::store::signing_keys::StoredKey;

/// The `kid` of the configured HS256 key: it has no public part to take a thumbprint of.
pub(in crate::auth) const SHARED_KEY_ID: &str = "hs256";

/// A signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store's keys were sealed with a secret that this instance does not have.
    #[error("signing key {kid} was sealed with another secret key")]
    Sealed {
        /// The key.
        kid: String,
    },
    /// The stored key is damaged, or of an algorithm that we do not know.
    #[error("signing key {kid} is damaged")]
    Damaged {
        /// The key.
        kid: String,
    },
    /// There is no key to sign with.
    #[error("there is no current signing key")]
    NoCurrentKey,
    /// The library could not sign.
    #[error("signing failed")]
    CannotSign,
    /// No key could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// A key pair or shared key of exactly one algorithm.
pub(super) struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    header: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// The public part as it is published; a shared key has none.
    public: Option<PublicJwk>,
}

/// A stored key and when it signs.
struct Scheduled {
    key: Arc<SigningKey>,
    schedule: KeySchedule,
}

/// All keys that tokens may be signed with, and when each of them signs.
pub struct KeySet {
    shared: Option<Arc<SigningKey>>,
    stored: Vec<Scheduled>,
    /// Where in `stored` a key is.
    places: HashMap<String, usize>,
    /// What was last published, which stays as it is until some key's turn comes.
    published: RwLock<Option<Arc<Jwks>>>,
}

impl KeySet {
    /// Unseals the store's keys, those that are not retired. A configured shared key is the one that signs. Keys that
    /// are `known` need not be unsealed again.
    pub fn new(
        stored: &[StoredKey],
        shared: Option<&Secret<Vec<u8>>>,
        keyring: &Keyring,
        known: Option<&Self>,
    ) -> Result<Self, KeyError> {
        let shared = shared.map(|shared| -> Result<_, KeyError> {
            Ok(Arc::new(SigningKey {
                header: encoded_header(SHARED_KEY_ID, Algorithm::HS256)?,
                kid: SHARED_KEY_ID.to_owned(),
                algorithm: Algorithm::HS256,
                encoding: EncodingKey::from_secret(shared.expose()),
                decoding: DecodingKey::from_secret(shared.expose()),
                public: None,
            }))
        });
        let mut scheduled = Vec::new();
        for (key, schedule) in stored.iter().map(|key| (key, key.schedule())) {
            if schedule.retired_at.is_some() {
                continue;
            }
            let known = known.and_then(|known| known.find(&key.kid)).filter(|known| known.is_of(&key.algorithm));
            let key = known.map_or_else(|| unseal(key, keyring).map(Arc::new), |known| Ok(Arc::clone(known)))?;
            scheduled.push(Scheduled { key, schedule });
        }
        let places = scheduled.iter().enumerate().map(|(place, stored)| (stored.key.kid.clone(), place)).collect();
        Ok(Self { shared: shared.transpose()?, stored: scheduled, places, published: RwLock::new(None) })
    }

    /// The key that signs now.
    pub(super) fn current(&self, now: Timestamp) -> Result<&Arc<SigningKey>, KeyError> {
        let stored = || self.signing(now).map(|stored| &stored.key);
        self.shared.as_ref().or_else(stored).ok_or(KeyError::NoCurrentKey)
    }

    /// Since when the key that signs now does so; nobody knows that of a configured key.
    pub(super) fn current_since(&self, now: Timestamp) -> Option<Timestamp> {
        if self.shared.is_some() { None } else { self.signing(now)?.schedule.signs_from }
    }

    fn signing(&self, now: Timestamp) -> Option<&Scheduled> {
        self.stored.get(key_schedule::signing(self.stored.iter().map(|stored| &stored.schedule), now)?)
    }

    /// A key whose tokens are accepted now.
    pub(super) fn accepted(&self, kid: &str, now: Timestamp, token_life: Duration) -> Found<'_> {
        match (self.shared.as_ref().filter(|shared| shared.kid == kid), self.place(kid)) {
            (Some(shared), _) => Found::Accepted(shared),
            (None, Some(stored)) if stored.schedule.is_accepted(now, token_life) => Found::Accepted(&stored.key),
            (None, Some(_)) => Found::Retired,
            (None, None) => Found::Unknown,
        }
    }

    fn find(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.place(kid).map(|stored| &stored.key)
    }

    fn place(&self, kid: &str) -> Option<&Scheduled> {
        self.places.get(kid).and_then(|place| self.stored.get(*place))
    }

    /// The public parts of all keys whose tokens are accepted or will be: the one that signs comes first.
    pub(super) fn jwks(&self, now: Timestamp, token_life: Duration) -> Result<Arc<Jwks>, KeyError> {
        let last = self.published.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(jwks) = last.filter(|jwks| jwks.holds.contains(&now)) {
            return Ok(jwks);
        }
        let signing = self.signing(now).filter(|_| self.shared.is_none()).map(|stored| stored.key.kid.as_str());
        let role = |stored: &Scheduled| stored.schedule.role(signing == Some(&*stored.key.kid), now, token_life);
        let mut keys: Vec<_> = self
            .stored
            .iter()
            .filter_map(|stored| Some((role(stored), stored.key.public.as_ref()?)))
            .filter(|(role, _)| *role != KeyRole::Retired)
            .collect();
        keys.sort_by_key(|(role, _)| *role);
        let turns = || self.stored.iter().flat_map(|stored| stored.schedule.turns(token_life));
        let from = turns().filter(|at| *at <= now).max().unwrap_or(Timestamp::from_micros(0));
        let until = turns().filter(|at| *at > now).min().unwrap_or(Timestamp::from_micros(i64::MAX));
        let jwks = Arc::new(Jwks::new(keys.into_iter().map(|(_, key)| key), from..until)?);
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&jwks));
        Ok(jwks)
    }
}

/// What is known of a key that a token names.
pub(super) enum Found<'a> {
    /// Its tokens are accepted.
    Accepted(&'a Arc<SigningKey>),
    /// They were once.
    Retired,
    /// There is no such key here, perhaps not yet.
    Unknown,
}

impl SigningKey {
    /// Its id.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `alg` of its tokens.
    pub(super) fn algorithm_name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::ES256 => "ES256",
            Algorithm::EdDSA => "EdDSA",
            Algorithm::RS256 => "RS256",
            _ => "HS256",
        }
    }

    /// The encoded header of its tokens.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    fn is_of(&self, algorithm: &str) -> bool {
        self.algorithm_name() == algorithm
    }
}

/// Makes a key pair and seals its private part; `None` for HS256, which has no pair.
pub fn new_stored_key(
    algorithm: JwtAlgorithm,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Option<StoredKey>, KeyError> {
    entropy::signing_key(algorithm)?.map(|pkcs8| stored_key(algorithm, &pkcs8, keyring, now)).transpose()
}

/// A key pair that was just made, with its private part sealed.
pub(in crate::auth) fn stored_key(
    algorithm: JwtAlgorithm,
    pkcs8: &Secret<Vec<u8>>,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<StoredKey, KeyError> {
    let damaged = || KeyError::Damaged { kid: "(new)".to_owned() };
    let name = algorithm.as_str();
    let alg = parse_algorithm(name).ok_or_else(damaged)?;
    let mut jwk = Jwk::from_encoding_key(&encoding_key(alg, pkcs8).ok_or_else(damaged)?, alg).map_err(|_| damaged())?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| damaged())?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
    let public = serde_json::to_string(&jwk).map_err(|_| damaged())?;
    let keys = keyring.primary();
    let sealed = keys.seal(entropy::bytes()?, kid.as_bytes(), pkcs8.expose()).map_err(|_| damaged())?;
    Ok(StoredKey::new(kid, name, public, sealed, keys.fingerprint(), now))
}

fn unseal(stored: &StoredKey, keyring: &Keyring) -> Result<SigningKey, KeyError> {
    let sealed = || KeyError::Sealed { kid: stored.kid.clone() };
    let damaged = || KeyError::Damaged { kid: stored.kid.clone() };
    let keys = keyring.find(&stored.sealed_with).ok_or_else(sealed)?;
    let pkcs8 = keys.open(stored.kid.as_bytes(), &stored.sealed_private_key).map_err(|_| damaged())?;
    let algorithm = parse_algorithm(&stored.algorithm).ok_or_else(damaged)?;
    let jwk: Jwk = serde_json::from_str(&stored.public_jwk).map_err(|_| damaged())?;
    Ok(SigningKey {
        header: encoded_header(&stored.kid, algorithm)?,
        kid: stored.kid.clone(),
        algorithm,
        encoding: encoding_key(algorithm, &pkcs8).ok_or_else(damaged)?,
        decoding: DecodingKey::from_jwk(&jwk).map_err(|_| damaged())?,
        public: Some(PublicJwk::of_stored(stored).ok_or_else(damaged)?),
    })
}

fn encoded_header(kid: &str, algorithm: Algorithm) -> Result<String, KeyError> {
    let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    signer::encode_header(&header)
}

fn parse_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        "RS256" => Some(Algorithm::RS256),
        _ => None,
    }
}

/// The library takes PKCS #8 for EC and Edwards keys and the bare PKCS #1 for RSA; from PEM it unwraps that itself.
fn encoding_key(algorithm: Algorithm, pkcs8: &Secret<Vec<u8>>) -> Option<EncodingKey> {
    let pem = Secret::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(pkcs8.expose())
    ));
    let pem = pem.expose().as_bytes();
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(pem).ok(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem).ok(),
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem).ok(),
        _ => None,
    }
}
