//! The keys that are derived from the server's secret, and what is done with them.
//!
//! A leaf: it knows no token, no table and no file. One secret gives, by HKDF-SHA256 (RFC 5869) with a label each, the
//! refresh-token MAC key, the cursor MAC key, the console's two keys, the key of what is guessed at and the key-encryption key, and a fingerprint that
//! tells secrets apart.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

const SALT: &[u8] = b"relatch.keyring.v1";
/// Tags are HMAC-SHA256, cut to 128 bits (RFC 2104 §5 allows half the output).
pub const TAG_LENGTH: usize = 16;

/// The server's secrets: one that makes, and those that are also accepted while a secret is being exchanged.
pub struct Keyring {
    primary: Keys,
    accepted: Vec<Keys>,
}

/// What is derived from one secret.
pub struct Keys {
    fingerprint: String,
    hint: u8,
    refresh_tokens: hmac::Key,
    cursors: hmac::Key,
    forms: hmac::Key,
    guesses: hmac::Key,
    cookies: Secret<Vec<u8>>,
    sealing: LessSafeKey,
}

/// Makes digests of what is guessed at: without the key, nobody finds out by trying what somebody typed.
#[derive(Clone)]
pub struct GuessSubjects(hmac::Key);

impl GuessSubjects {
    /// The digest of one of a kind.
    pub fn digest(&self, kind: &str, name: &str) -> [u8; 32] {
        // No kind has a NUL in it.
        let text = [kind.as_bytes(), b"\0", name.as_bytes()].concat();
        let mut output = [0; 32];
        for (to, from) in output.iter_mut().zip(hmac::sign(&self.0, &text).as_ref()) {
            *to = *from;
        }
        output
    }
}

/// A key could not be derived or a box could not be opened: wrong key, or a changed box.
#[derive(Debug, thiserror::Error)]
#[error("the key does not fit")]
pub struct KeyMismatch;

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Derives all keys. `accepted` may repeat the primary secret.
    pub fn new(primary: &Secret<Vec<u8>>, accepted: &[Secret<Vec<u8>>]) -> Result<Self, KeyMismatch> {
        let primary = Keys::derive(primary)?;
        let mut others = Vec::new();
        for secret in accepted {
            let keys = Keys::derive(secret)?;
            if keys.fingerprint != primary.fingerprint {
                others.push(keys);
            }
        }
        Ok(Self { primary, accepted: others })
    }

    /// The keys that new tokens and boxes are made with.
    pub fn primary(&self) -> &Keys {
        &self.primary
    }

    /// The keys with this fingerprint, if they are accepted.
    pub fn find(&self, fingerprint: &str) -> Option<&Keys> {
        self.all().find(|keys| keys.fingerprint == fingerprint)
    }

    /// Every accepted set of keys, the primary first.
    pub fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.primary).chain(&self.accepted)
    }
}

impl Keys {
    fn derive(secret: &Secret<Vec<u8>>) -> Result<Self, KeyMismatch> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret.expose());
        let fingerprint = expand(&prk, b"fingerprint")?;
        let sealing =
            UnboundKey::new(&AES_256_GCM, expand(&prk, b"signing keys")?.expose()).map_err(|_| KeyMismatch)?;
        Ok(Self {
            hint: fingerprint.expose().first().copied().unwrap_or_default(),
            fingerprint: URL_SAFE_NO_PAD.encode(fingerprint.expose().first_chunk::<16>().ok_or(KeyMismatch)?),
            refresh_tokens: hmac::Key::new(hmac::HMAC_SHA256, expand(&prk, b"refresh tokens")?.expose()),
            cursors: hmac::Key::new(hmac::HMAC_SHA256, expand(&prk, b"cursors")?.expose()),
            forms: hmac::Key::new(hmac::HMAC_SHA256, expand(&prk, b"console forms")?.expose()),
            guesses: hmac::Key::new(hmac::HMAC_SHA256, expand(&prk, b"guesses")?.expose()),
            cookies: expand_to::<64>(&prk, b"console cookies")?,
            sealing: LessSafeKey::new(sealing),
        })
    }

    /// Tells this secret from others and gives nothing away about it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A byte of the fingerprint, for tokens that say which key made them.
    pub const fn hint(&self) -> u8 {
        self.hint
    }

    /// The tag of a refresh token's bytes.
    pub fn refresh_token_tag(&self, bytes: &[u8]) -> [u8; TAG_LENGTH] {
        tag(&self.refresh_tokens, bytes)
    }

    /// The tag of a page cursor's bytes.
    pub fn cursor_tag(&self, bytes: &[u8]) -> [u8; TAG_LENGTH] {
        tag(&self.cursors, bytes)
    }

    /// The token of a form of the console, made of what binds it.
    pub fn form_tag(&self, bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.forms, bytes))
    }

    /// What guesses at accounts, clients and names are counted under.
    pub fn guess_subjects(&self) -> GuessSubjects {
        GuessSubjects(self.guesses.clone())
    }

    /// The key of the console's cookies: 64 bytes.
    pub const fn cookie_key(&self) -> &Secret<Vec<u8>> {
        &self.cookies
    }

    /// Encrypts with AES-256-GCM; `bound_to` is authenticated along. The nonce must be drawn anew for each call.
    pub fn seal(&self, nonce: [u8; NONCE_LEN], bound_to: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyMismatch> {
        let mut sealed = plain.to_vec();
        self.sealing
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut sealed)
            .map_err(|_| KeyMismatch)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same `bound_to`.
    pub fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, KeyMismatch> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(KeyMismatch)?;
        let mut buffer = sealed.to_vec();
        let plain = self
            .sealing
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound_to), &mut buffer)
            .map_err(|_| KeyMismatch)?
            .to_vec();
        zeroize::Zeroize::zeroize(&mut buffer);
        Ok(Secret::new(plain))
    }
}

/// SHA-256, for secrets of 128 bits and more: those need no slow hash (ASVS 5.0 §6.5.2).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    for (to, from) in output.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    output
}

/// HMAC-SHA256 under a fixed label: no secret, but a hash that no table of another service fits.
pub fn labelled_digest(label: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    for (to, from) in output.iter_mut().zip(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, label), bytes).as_ref()) {
        *to = *from;
    }
    output
}

/// Compares in a time that depends on the lengths alone.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

fn tag(key: &hmac::Key, bytes: &[u8]) -> [u8; TAG_LENGTH] {
    let mut output = [0; TAG_LENGTH];
    for (to, from) in output.iter_mut().zip(hmac::sign(key, bytes).as_ref()) {
        *to = *from;
    }
    output
}

fn expand(prk: &hkdf::Prk, label: &[u8]) -> Result<Secret<Vec<u8>>, KeyMismatch> {
    expand_to::<32>(prk, label)
}

fn expand_to<const N: usize>(prk: &hkdf::Prk, label: &[u8]) -> Result<Secret<Vec<u8>>, KeyMismatch> {
    struct Length<const N: usize>;
    impl<const N: usize> hkdf::KeyType for Length<N> {
        fn len(&self) -> usize {
            N
        }
    }
    let mut output = vec![0; N];
    let info = [label];
    let key = prk.expand(&info, Length::<N>).map_err(|_| KeyMismatch)?;
    key.fill(&mut output).map_err(|_| KeyMismatch)?;
    Ok(Secret::new(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret<Vec<u8>> {
        Secret::new(vec![byte; 32])
    }

    #[test]
    fn the_same_secret_gives_the_same_keys_and_another_gives_others() {
        let ring = Keyring::new(&secret(1), &[secret(1), secret(2)]).unwrap();
        assert_eq!(ring.all().count(), 2);
        let again = Keyring::new(&secret(1), &[]).unwrap();
        assert_eq!(ring.primary().fingerprint(), again.primary().fingerprint());
        assert_eq!(ring.primary().refresh_token_tag(b"x"), again.primary().refresh_token_tag(b"x"));
        assert_ne!(ring.primary().refresh_token_tag(b"x"), ring.primary().cursor_tag(b"x"));
        let tags: Vec<_> = ring.all().map(|keys| keys.refresh_token_tag(b"x")).collect();
        assert_ne!(tags.first(), tags.last());
    }

    #[test]
    fn a_sealed_box_opens_only_whole_with_its_key_and_for_its_purpose() {
        let ring = Keyring::new(&secret(1), &[secret(2)]).unwrap();
        let sealed = ring.primary().seal([7; NONCE_LEN], b"kid", b"private").unwrap();
        assert_eq!(ring.primary().open(b"kid", &sealed).unwrap().expose(), b"private");
        assert!(ring.primary().open(b"other", &sealed).is_err());
        assert!(ring.all().last().unwrap().open(b"kid", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(ring.primary().open(b"kid", &sealed[..cut]).is_err());
        }
    }

    #[test]
    fn a_fingerprint_is_no_part_of_any_key() {
        let ring = Keyring::new(&secret(1), &[]).unwrap();
        assert_eq!(ring.primary().fingerprint().len(), 22);
        assert!(equal(b"a", b"a") && !equal(b"a", b"b") && !equal(b"a", b"aa"));
    }
}
