//! An API that verifies access tokens by itself: with the public keys and the status lists, and nothing else of the server
//! (draft-ietf-oauth-status-list §8.3).

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use relatch::store::signing_keys;
use serde_json::Value;

use crate::harness::TestApp;

/// What is wrong with a token, in the order in which it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is not an access token of this issuer that is valid now. No list is fetched for it.
    Token,
    /// What was fetched is no list of this issuer.
    List,
    /// It is another list than the token names.
    OtherList,
    /// The list is too old.
    ListExpired,
    /// The list has no such place.
    NoSuchPlace,
    /// It was revoked.
    Revoked,
}

pub struct Verifier {
    issuer: String,
    keys: Vec<(String, Algorithm, DecodingKey)>,
}

impl Verifier {
    /// With the keys that the server has now.
    pub async fn of(app: &TestApp) -> Self {
        let stored = app.database.store().read(signing_keys::all).await.unwrap();
        let keys = stored.iter().map(|key| {
            let jwk: Jwk = serde_json::from_str(&key.public_jwk).unwrap();
            let algorithm = match key.algorithm.as_str() {
                "ES256" => Algorithm::ES256,
                "EdDSA" => Algorithm::EdDSA,
                "RS256" => Algorithm::RS256,
                other => panic!("{other}"),
            };
            (key.kid.clone(), algorithm, DecodingKey::from_jwk(&jwk).unwrap())
        });
        Self { issuer: app.config.jwt.issuer.clone(), keys: keys.collect() }
    }

    /// The claims of a JWT of this type whose signature is good.
    pub fn claims(&self, token: &str, typ: &str) -> Option<Value> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let (_, algorithm, key) = self.keys.iter().find(|(kid, _, _)| Some(kid) == header.kid.as_ref())?;
        if header.typ.as_deref() != Some(typ) || header.alg != *algorithm {
            return None;
        }
        let mut signature_only = Validation::new(*algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let claims = jsonwebtoken::decode::<Value>(token, key, &signature_only).ok()?.claims;
        (claims["iss"] == self.issuer.as_str()).then_some(claims)
    }

    /// Whether an API lets the bearer of this token in at this second; `fetch` gets a list.
    pub async fn check(&self, token: &str, now: i64, fetch: impl AsyncFnOnce(&str) -> String) -> Result<(), Refusal> {
        let claims = self.claims(token, "at+jwt").ok_or(Refusal::Token)?;
        if claims["exp"].as_i64().is_none_or(|exp| exp <= now) {
            return Err(Refusal::Token);
        }
        let (uri, place) = place_of(&claims).ok_or(Refusal::Token)?;
        let list = self.claims(&fetch(&uri).await, "statuslist+jwt").ok_or(Refusal::List)?;
        if list["sub"] != uri.as_str() {
            return Err(Refusal::OtherList);
        }
        if list["exp"].as_i64().is_none_or(|exp| exp <= now) {
            return Err(Refusal::ListExpired);
        }
        match status(&list["status_list"], place) {
            None => Err(Refusal::NoSuchPlace),
            Some(0) => Ok(()),
            Some(_) => Err(Refusal::Revoked),
        }
    }
}

/// The claims of a token, unverified.
pub fn unverified(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Where a token is looked up.
pub fn place_of(claims: &Value) -> Option<(String, usize)> {
    let list = &claims["status"]["status_list"];
    Some((list["uri"].as_str()?.to_owned(), usize::try_from(list["idx"].as_u64()?).ok()?))
}

/// The bytes of a list.
pub fn bytes(status_list: &Value) -> Vec<u8> {
    let compressed = URL_SAFE_NO_PAD.decode(status_list["lst"].as_str().unwrap()).unwrap();
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(compressed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The status at a place (§4.1): places are counted from the lowest bits of a byte on.
pub fn status(status_list: &Value, place: usize) -> Option<u8> {
    let bits = usize::try_from(status_list["bits"].as_u64()?).ok().filter(|bits| [1, 2, 4, 8].contains(bits))?;
    let byte = *bytes(status_list).get(place * bits / 8)?;
    Some((byte >> (place * bits % 8)) & (0xff >> (8 - bits)))
}
