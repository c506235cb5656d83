//! Signing keys, unsealed and ready to use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};

use super::{TYPE, signer};
use crate::auth::entropy::{self, NoEntropy};
use crate::config::JwtAlgorithm;
use crate::domain::timestamp::Timestamp;
use crate::keyring::Keyring;
use crate::secret::Secret;
use crate::store::signing_keys::StoredKey;

/// Another instance may have signed a little longer with a key that was superseded.
const SLACK: Duration = Duration::from_secs(60);
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
    created_at: Option<Timestamp>,
    superseded_at: Option<Timestamp>,
}

/// All keys that tokens may be signed with, and the one that signs.
pub struct KeySet {
    current: Option<Arc<SigningKey>>,
    all: HashMap<String, Arc<SigningKey>>,
}

impl KeySet {
    /// Unseals the store's keys. A configured shared key is the one that signs.
    pub fn new(stored: &[StoredKey], shared: Option<&Secret<Vec<u8>>>, keyring: &Keyring) -> Result<Self, KeyError> {
        let mut keys: Vec<Arc<SigningKey>> = Vec::new();
        if let Some(shared) = shared {
            keys.push(Arc::new(SigningKey {
                header: encoded_header(SHARED_KEY_ID, Algorithm::HS256)?,
                kid: SHARED_KEY_ID.to_owned(),
                algorithm: Algorithm::HS256,
                encoding: EncodingKey::from_secret(shared.expose()),
                decoding: DecodingKey::from_secret(shared.expose()),
                created_at: None,
                superseded_at: None,
            }));
        }
        for key in stored {
            keys.push(Arc::new(unseal(key, keyring)?));
        }
        let current = keys.iter().find(|key| key.superseded_at.is_none()).cloned();
        Ok(Self { current, all: keys.into_iter().map(|key| (key.kid.clone(), key)).collect() })
    }

    /// The key that signs.
    pub(super) fn current(&self) -> Result<&Arc<SigningKey>, KeyError> {
        self.current.as_ref().ok_or(KeyError::NoCurrentKey)
    }

    pub(super) fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.all.get(kid).map(Arc::as_ref)
    }
}

impl SigningKey {
    /// When it was made; nobody knows that of a configured key.
    pub(super) fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }

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

    /// Whether even the last token it signed has expired.
    pub(super) fn is_retired(&self, now: Timestamp, token_life: Duration) -> bool {
        self.superseded_at.is_some_and(|at| last_accepted(at, token_life) <= now)
    }
}

/// Until when tokens are accepted of a key that was superseded then.
pub(in crate::auth) fn last_accepted(superseded_at: Timestamp, token_life: Duration) -> Timestamp {
    superseded_at.after(token_life).after(SLACK)
}

/// Makes a key pair and seals its private part; `None` for HS256, which has no pair.
pub fn new_stored_key(
    algorithm: JwtAlgorithm,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Option<StoredKey>, KeyError> {
    let Some(pkcs8) = entropy::signing_key(algorithm)? else { return Ok(None) };
    let damaged = || KeyError::Damaged { kid: "(new)".to_owned() };
    let name = algorithm.as_str();
    let alg = parse_algorithm(name).ok_or_else(damaged)?;
    let mut jwk =
        Jwk::from_encoding_key(&encoding_key(alg, &pkcs8).ok_or_else(damaged)?, alg).map_err(|_| damaged())?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| damaged())?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
    let public = serde_json::to_string(&jwk).map_err(|_| damaged())?;
    let keys = keyring.primary();
    let sealed = keys.seal(entropy::bytes()?, kid.as_bytes(), pkcs8.expose()).map_err(|_| damaged())?;
    Ok(Some(StoredKey::new(kid, name, public, sealed, keys.fingerprint(), now)))
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
        created_at: Some(stored.created_at()),
        superseded_at: stored.superseded_at(),
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
