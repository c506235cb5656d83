//! The fuzz target of access tokens: nothing is accepted that was not issued, and of what is signed only what is due.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::claims::{Audience, Claims, ClientClaims, NumericDate};
use super::keys::{Found, stored_key};
use super::{AccessTokenPolicy, AccessTokens, FIRST_PARTY_CLIENT, KeySet, SHARED_KEY_ID, VerifiedAccessToken, signer};
use crate::auth::fuzzing::{KEYRING, changed};
use crate::config::JwtAlgorithm;
use crate::domain::timestamp::Timestamp;
use crate::keyring;
use crate::secret::Secret;
use crate::store::signing_keys::StoredKey;

const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "api";
/// The time that it is, in seconds, and for how long tokens are valid.
const NOW: i64 = 1_700_000_000;
const LIFE: i64 = 900;
/// An HS256 key that no server has.
const SHARED: &[u8] = &[3; 32];
/// A private key that no server has, in PKCS #8 (RFC 8410 §7): what stands before the 32 bytes of every Ed25519 key.
const ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

static STORED: LazyLock<StoredKey> = LazyLock::new(|| {
    let pkcs8 = Secret::new([ED25519.as_slice(), &[4; 32]].concat());
    let stored = stored_key(JwtAlgorithm::EdDsa, &pkcs8, &KEYRING, now());
    stored.unwrap_or_else(|error| unreachable!("{error}"))
});

static TOKENS: LazyLock<AccessTokens> = LazyLock::new(|| {
    let keys = KeySet::new(std::slice::from_ref(&*STORED), Some(&Secret::new(SHARED.to_vec())), &KEYRING, None);
    let policy = AccessTokenPolicy {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        life: Duration::from_secs(LIFE.unsigned_abs()),
        with_profile: true,
    };
    AccessTokens::new(policy, keys.unwrap_or_else(|error| unreachable!("{error}")))
});

/// Every token that was ever issued with these keys: a user's and a client's, signed with either.
static GENUINE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let keys = TOKENS.keys();
    let kids = [SHARED_KEY_ID, STORED.kid.as_str()];
    kids.into_iter()
        .flat_map(|kid| match keys.accepted(kid, now(), TOKENS.life()) {
            Found::Accepted(key) => [signer::sign(key, &user_claims()), signer::sign(key, &client_claims())],
            Found::Retired | Found::Unknown => unreachable!("{kid} is not accepted"),
        })
        .map(|token| token.unwrap_or_else(|error| unreachable!("{error}")))
        .collect()
});

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

fn user_claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        aud: Audience::one(AUDIENCE),
        sub: "7".to_owned(),
        iat: NumericDate::from_seconds(NOW),
        nbf: NumericDate::from_seconds(NOW - 5),
        exp: NumericDate::from_seconds(NOW + LIFE),
        jti: "0b0f7f5e-6a3e-4b52-9c55-1c6f7c9d1a11".to_owned(),
        sid: "018bcfe5-6800-7000-8000-000000000001".to_owned(),
        ver: 1,
        client_id: FIRST_PARTY_CLIENT.to_owned(),
        role: "user".to_owned(),
        unique_name: Some("somebody".to_owned()),
        email: Some("somebody@example.com".to_owned()),
        status: None,
    }
}

fn client_claims() -> ClientClaims {
    let user = user_claims();
    let id = "rlc_AAAAAAAAAAAAAAAA";
    ClientClaims {
        iss: user.iss,
        aud: user.aud,
        sub: id.to_owned(),
        iat: user.iat,
        nbf: user.nbf,
        exp: user.exp,
        jti: user.jti,
        ver: user.ver,
        client_id: id.to_owned(),
        scope: "introspect".to_owned(),
        secret_id: "0b0f7f5e-6a3e-4b52-9c55-1c6f7c9d1a12".to_owned(),
    }
}

/// A token, in one of three ways: its text; `m` and changes to a genuine one; or `s`, a header, a line end and claims, which
/// are signed with the shared key so that what is behind the signature is come to.
pub fn access_token(data: &[u8]) -> bool {
    let text = match data.split_first() {
        Some((b's', parts)) => return signed(parts),
        Some((b'm', changes)) => changed(&GENUINE, changes),
        _ => match std::str::from_utf8(data) {
            Ok(text) => text.to_owned(),
            Err(_) => return false,
        },
    };
    let accepted = TOKENS.verify(&text, now()).is_ok();
    assert!(!accepted || GENUINE.contains(&text), "a forgery is accepted: {text:?}");
    accepted
}

fn signed(parts: &[u8]) -> bool {
    let at = parts.iter().position(|byte| *byte == b'\n').unwrap_or(parts.len());
    let (header, claims) = parts.split_at(at);
    let claims = claims.strip_prefix(b"\n").unwrap_or_default();
    let mut text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    // HMAC-SHA256 with the label for a key is what HS256 is.
    let signature = keyring::labelled_digest(SHARED, text.as_bytes());
    text = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
    let Ok(verified) = TOKENS.verify(&text, now()) else { return false };
    let read = |part: &[u8]| serde_json::from_slice::<Value>(part).unwrap_or_default();
    check_header(&read(header));
    check_claims(&read(claims), &verified);
    true
}

/// What RFC 7515 §4.1 and RFC 9068 §2.1 say, by another reader than the one that is tested.
fn check_header(header: &Value) {
    let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
    assert!(header.as_object().is_some_and(|members| members.len() == 3), "accepted with the header {header}");
    assert_eq!((text("alg"), text("kid")), ("HS256", SHARED_KEY_ID), "accepted with the header {header}");
    assert!(
        ["at+jwt", "application/at+jwt"].contains(&text("typ").to_ascii_lowercase().as_str()),
        "accepted with the header {header}"
    );
}

/// What RFC 7519 §4.1 and RFC 9068 §4 say.
fn check_claims(claims: &Value, verified: &VerifiedAccessToken) {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let date = |name: &str| claims.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    assert!(claims.is_object(), "accepted with the claims {claims}");
    assert_eq!(text("iss"), ISSUER);
    let audience = claims.get("aud").unwrap_or(&Value::Null);
    let is_ours = |one: &Value| one.as_str() == Some(AUDIENCE);
    assert!(is_ours(audience) || audience.as_array().is_some_and(|all| all.iter().any(is_ours)), "for {audience}");
    #[expect(clippy::cast_precision_loss, reason = "seconds of our time are exact in 52 bits")]
    let (now, life) = (NOW as f64, LIFE as f64);
    // Dates are cut to the microsecond before they are compared.
    let slack = 0.000_01;
    assert!(date("exp") > now, "accepted although expired: {claims}");
    assert!(date("exp") - date("iat") <= life + slack, "accepted although it lives for longer than any: {claims}");
    assert!(date("iat") <= now + 5.0 + slack && date("nbf") <= now + slack, "accepted before its time: {claims}");
    let subject = match verified {
        VerifiedAccessToken::User(token) => {
            assert_eq!(text("sid"), token.session_id.to_string());
            token.user_id.to_string()
        }
        VerifiedAccessToken::Client(token) => {
            assert_eq!((text("client_id"), text("secret_id")), (text("sub"), token.secret_id.to_string().as_str()));
            token.client_id.to_string()
        }
    };
    assert_eq!(text("sub"), subject);
}
