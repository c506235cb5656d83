//! Where randomness comes from: the operating system, through aws-lc. Nothing else in the crate draws any.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::JwtAlgorithm;
use crate::domain::refresh_token::SessionNonce;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::secret::Secret;

/// The operating system gave no randomness, or no key could be made from it.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoEntropy;

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}

/// A secret of 256 bits as text: base64url without padding.
pub fn secret_text() -> Result<Secret<String>, NoEntropy> {
    let bytes = Zeroizing::new(bytes::<32>()?);
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// A session id: UUID version 7 (RFC 9562 §5.7), so that ids sort by time of making and new rows lie together.
pub fn session_id(now: Timestamp) -> Result<SessionId, NoEntropy> {
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or_default();
    Ok(SessionId::new(uuid::Builder::from_unix_timestamp_millis(millis, &bytes()?).into_uuid()))
}

/// A session's secret, 128 bits.
pub fn session_nonce() -> Result<SessionNonce, NoEntropy> {
    Ok(SessionNonce::new(bytes()?))
}

/// A random UUID (version 4), for a token's `jti` and a request's id.
pub fn uuid() -> Result<Uuid, NoEntropy> {
    Ok(uuid::Builder::from_random_bytes(bytes()?).into_uuid())
}

/// A fraction from 0 up to but not including 1, to spread what clients do over time.
pub fn fraction() -> Result<f64, NoEntropy> {
    Ok(f64::from(u32::from_be_bytes(bytes()?)) / (f64::from(u32::MAX) + 1.0))
}

/// A new private key as PKCS #8; `None` for HS256, whose key is configured.
pub fn signing_key(algorithm: JwtAlgorithm) -> Result<Option<Secret<Vec<u8>>>, NoEntropy> {
    let random = SystemRandom::new();
    let pkcs8 = match algorithm {
        JwtAlgorithm::Hs256 => return Ok(None),
        JwtAlgorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| NoEntropy)?
            .as_ref()
            .to_vec(),
        JwtAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&random).map_err(|_| NoEntropy)?.as_ref().to_vec(),
        JwtAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
            .and_then(|pair| pair.as_der())
            .map_err(|_| NoEntropy)?
            .as_ref()
            .to_vec(),
    };
    Ok(Some(Secret::new(pkcs8)))
}
