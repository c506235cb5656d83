//! What is published of signing keys: a JWK Set (RFC 7517 §5) with public members and no other.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::keys::KeyError;
use crate::domain::timestamp::Timestamp;
use crate::keyring;
use crate::store::signing_keys::StoredKey;

/// The keys as verifiers get them.
#[derive(Debug)]
pub struct Jwks {
    /// The JWK Set.
    pub json: Bytes,
    /// An entity tag of just these bytes, in quotation marks.
    pub etag: String,
    /// Until when nothing about it changes, and since when it holds.
    pub(super) holds: Range<Timestamp>,
}

/// The members of a public key that verifiers need. What else a stored key may have is not read, so that it is not
/// written either.
#[derive(Serialize, Deserialize)]
pub(super) struct PublicJwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_deserializing)]
    kid: String,
    #[serde(rename = "use", skip_deserializing)]
    purpose: &'static str,
    #[serde(skip_deserializing)]
    alg: String,
}

#[derive(Serialize)]
struct JwkSet<'a> {
    keys: Vec<&'a PublicJwk>,
}

impl Jwks {
    pub(super) fn new<'a>(
        keys: impl Iterator<Item = &'a PublicJwk>,
        holds: Range<Timestamp>,
    ) -> Result<Self, KeyError> {
        let json = serde_json::to_vec(&JwkSet { keys: keys.collect() }).map_err(|_| KeyError::CannotSign)?;
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(keyring::sha256(&json)));
        Ok(Self { json: json.into(), etag, holds })
    }
}

impl PublicJwk {
    /// What is published of a stored key: `None` when that is no public key.
    pub(super) fn of_stored(stored: &StoredKey) -> Option<Self> {
        let mut jwk: Self = serde_json::from_str(&stored.public_jwk).ok()?;
        jwk.kid.clone_from(&stored.kid);
        jwk.alg.clone_from(&stored.algorithm);
        jwk.purpose = "sig";
        ["EC", "OKP", "RSA"].contains(&jwk.kty.as_str()).then_some(jwk)
    }
}
