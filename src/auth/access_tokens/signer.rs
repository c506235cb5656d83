//! The signing half of a JWT library call, without parsing the key anew for each token.
//!
//! The library makes a signer from the key's bytes whenever it signs, which for ES256 costs a third of a signature. Its
//! signers may not be shared between threads, so each thread keeps the one it used last.

use std::cell::RefCell;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Header;
use jsonwebtoken::crypto::JwtSigner;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use serde::Serialize;

use super::keys::{KeyError, SigningKey};

thread_local! {
    static LAST: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

struct Kept {
    key: Arc<SigningKey>,
    signer: Box<dyn JwtSigner>,
}

/// The encoded header of every token that a key signs.
pub(super) fn encode_header(header: &Header) -> Result<String, KeyError> {
    encode_part(header)
}

/// A signed access token in compact form (RFC 7515 §7.1).
pub(super) fn sign(key: &Arc<SigningKey>, claims: &impl Serialize) -> Result<String, KeyError> {
    sign_with(key, key.header(), claims)
}

/// The same for another kind of JWT, which has a header of its own.
pub(super) fn sign_with(key: &Arc<SigningKey>, header: &str, claims: &impl Serialize) -> Result<String, KeyError> {
    let mut token = format!("{header}.{}", encode_part(claims)?);
    let signature = LAST.with_borrow_mut(|kept| {
        let kept = match kept {
            Some(kept) if Arc::ptr_eq(&kept.key, key) => kept,
            other => {
                let signer = (DEFAULT_PROVIDER.signer_factory)(&key.algorithm(), key.encoding());
                other.insert(Kept { key: Arc::clone(key), signer: signer.map_err(|_| KeyError::CannotSign)? })
            }
        };
        kept.signer.try_sign(token.as_bytes()).map_err(|_| KeyError::CannotSign)
    })?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn encode_part(part: &impl Serialize) -> Result<String, KeyError> {
    serde_json::to_vec(part).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| KeyError::CannotSign)
}
