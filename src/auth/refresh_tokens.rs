//! Making and recognising refresh tokens: the tag that only this server can compute.

use crate::domain::refresh_token::{self, Claims, KeyHint, SessionNonce};
use crate::domain::session::{Generation, SessionId};
use crate::keyring::{self, Keyring, Keys};
use crate::secret::Secret;

/// A refresh token whose tag is genuine. What it is worth, the session's row decides.
#[derive(Debug)]
pub struct Genuine<'a> {
    claims: Claims,
    keys: &'a Keys,
}

impl Genuine<'_> {
    /// Whose token it is.
    pub fn session_id(&self) -> SessionId {
        self.claims.session_id
    }

    /// Which of the session's tokens.
    pub fn generation(&self) -> Generation {
        self.claims.generation
    }

    /// SHA-256 of its nonce, as the session's row has it.
    pub fn nonce_digest(&self) -> [u8; 32] {
        nonce_digest(&self.claims.nonce)
    }

    /// The successor made by rotating this token: with the newest key, so that a session moves on to it.
    pub fn successor(&self, keyring: &Keyring, generation: Generation) -> Secret<String> {
        mint(keyring.primary(), self.session_id(), generation, &self.claims.nonce)
    }

    /// The successor that exists already, computed again: with the key of this token.
    pub fn repeated_successor(&self, generation: Generation) -> Secret<String> {
        mint(self.keys, self.session_id(), generation, &self.claims.nonce)
    }
}

/// The first token of a session.
pub fn first(keyring: &Keyring, session_id: SessionId, nonce: &SessionNonce) -> Secret<String> {
    mint(keyring.primary(), session_id, Generation::FIRST, nonce)
}

/// SHA-256 of a nonce: 128 random bits need no slow hash (ASVS 5.0 §6.5.2).
pub fn nonce_digest(nonce: &SessionNonce) -> [u8; 32] {
    keyring::sha256(nonce.expose())
}

/// Recognises a token by its tag, in constant time and without the database.
pub fn recognise<'a>(keyring: &'a Keyring, token: &str) -> Option<Genuine<'a>> {
    let (claims, tag) = refresh_token::decode(token)?;
    let bytes = zeroize::Zeroizing::new(claims.to_bytes());
    let keys = keyring
        .all()
        .filter(|keys| KeyHint::new(keys.hint()) == claims.key)
        .find(|keys| keyring::equal(&keys.refresh_token_tag(bytes.as_slice()), &tag))?;
    Some(Genuine { claims, keys })
}

fn mint(keys: &Keys, session_id: SessionId, generation: Generation, nonce: &SessionNonce) -> Secret<String> {
    let claims = Claims { key: KeyHint::new(keys.hint()), session_id, generation, nonce: nonce.clone() };
    let tag = keys.refresh_token_tag(zeroize::Zeroizing::new(claims.to_bytes()).as_slice());
    Secret::new(refresh_token::encode(&claims, &tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(primary: u8, accepted: &[u8]) -> Keyring {
        let secret = |byte: u8| Secret::new(vec![byte; 32]);
        let accepted: Vec<_> = accepted.iter().map(|byte| secret(*byte)).collect();
        Keyring::new(&secret(primary), &accepted).unwrap()
    }

    fn token(keyring: &Keyring) -> Secret<String> {
        first(keyring, SessionId::from_bytes([5; 16]), &SessionNonce::new([6; 16]))
    }

    #[test]
    fn a_token_is_recognised_by_every_server_that_accepts_its_key() {
        let token = token(&keyring(1, &[]));
        assert!(recognise(&keyring(1, &[]), token.expose()).is_some());
        assert!(recognise(&keyring(2, &[1]), token.expose()).is_some());
        assert!(recognise(&keyring(2, &[3]), token.expose()).is_none());
    }

    #[test]
    fn a_session_moves_on_to_the_newest_key_and_a_retry_gets_what_its_own_key_made() {
        let old = keyring(1, &[]);
        let both = keyring(2, &[1]);
        let token = token(&old);
        let genuine = recognise(&both, token.expose()).unwrap();
        let second = Generation::new(2).unwrap();
        let rotated = genuine.successor(&both, second);
        assert!(recognise(&keyring(2, &[]), rotated.expose()).is_some());
        let repeated = genuine.repeated_successor(second);
        assert_eq!(repeated.expose(), recognise(&old, token.expose()).unwrap().successor(&old, second).expose());
    }

    #[test]
    fn b11_every_changed_bit_makes_it_a_forgery() {
        let ring = keyring(1, &[]);
        let token = token(&ring);
        for at in 4..token.expose().len() {
            let changed: String = token
                .expose()
                .char_indices()
                .map(|(index, c)| if index == at { if c == 'A' { 'B' } else { 'A' } } else { c })
                .collect();
            assert!(changed == *token.expose() || recognise(&ring, &changed).is_none(), "{at}");
        }
    }

    #[test]
    fn a16_a_thousand_tokens_share_nothing_but_the_prefix_and_what_is_public() {
        let ring = keyring(1, &[]);
        let tails: std::collections::HashSet<String> = (0..1_000)
            .map(|_| {
                let nonce = crate::auth::entropy::session_nonce().unwrap();
                first(&ring, SessionId::from_bytes([5; 16]), &nonce).expose()[35..].to_owned()
            })
            .collect();
        assert_eq!(tails.len(), 1_000);
    }
}
