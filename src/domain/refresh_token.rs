//! The shape of a refresh token: what its 53 bytes are. Whether the tag is genuine is not decided here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::domain::session::{Generation, SessionId};

/// What every refresh token starts with, so that scanners and people recognise one.
pub const PREFIX: &str = "rlr_";
/// The format that is written: the two high bits of the version byte.
const FORMAT: u8 = 0b0100_0000;
const FORMAT_MASK: u8 = 0b1100_0000;

const BODY: usize = 37;
const TAG: usize = 16;
/// `version ‖ session id (16) ‖ generation (4) ‖ nonce (16) ‖ tag (16)`
const LENGTH: usize = BODY + TAG;

/// Which of the accepted keys made a tag, as far as six bits can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyHint(u8);

impl KeyHint {
    /// Takes the low six bits.
    pub const fn new(byte: u8) -> Self {
        Self(byte & !FORMAT_MASK)
    }
}

/// The secret that all refresh tokens of a session share. The store knows only its SHA-256. Tests alone compare it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct SessionNonce([u8; 16]);

impl SessionNonce {
    /// From 128 random bits.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be hashed.
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for SessionNonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a refresh token says, before or without its tag.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Claims {
    /// Which key made the tag.
    pub key: KeyHint,
    /// Whose token it is.
    pub session_id: SessionId,
    /// Which of the session's tokens.
    pub generation: Generation,
    /// The session's secret.
    pub nonce: SessionNonce,
}

impl Claims {
    /// The bytes that the tag covers.
    pub fn to_bytes(&self) -> [u8; BODY] {
        let mut bytes = [0; BODY];
        let parts = [FORMAT | self.key.0]
            .into_iter()
            .chain(*self.session_id.as_bytes())
            .chain(self.generation.get().to_be_bytes())
            .chain(*self.nonce.expose());
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; BODY]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if version & FORMAT_MASK != FORMAT {
            return None;
        }
        let (session_id, rest) = rest.split_first_chunk::<16>()?;
        let (generation, nonce) = rest.split_first_chunk::<4>()?;
        Some(Self {
            key: KeyHint::new(*version),
            session_id: SessionId::from_bytes(*session_id),
            generation: Generation::new(u32::from_be_bytes(*generation))?,
            nonce: SessionNonce::new(nonce.try_into().ok()?),
        })
    }
}

/// Writes a token: `rlr_` and base64url without padding.
pub fn encode(claims: &Claims, tag: &[u8; TAG]) -> String {
    let mut bytes = claims.to_bytes().to_vec();
    bytes.extend_from_slice(tag);
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
    bytes.zeroize();
    text
}

/// Reads a token's shape. Only the one text that [`encode`] writes is accepted: no padding, no white space, no stray
/// trailing bits, so that a near miss is garbage and never the token of somebody.
pub fn decode(text: &str) -> Option<(Claims, [u8; TAG])> {
    let encoded = text.strip_prefix(PREFIX)?;
    if encoded.len() != LENGTH.div_ceil(3) * 4 - 1 {
        return None;
    }
    let bytes = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
    let (body, tag) = bytes.split_first_chunk::<BODY>()?;
    Some((Claims::from_bytes(body)?, tag.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            key: KeyHint::new(0xff),
            session_id: SessionId::from_bytes([7; 16]),
            generation: Generation::FIRST,
            nonce: SessionNonce::new([9; 16]),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = encode(&claims(), &[3; 16]);
        assert_eq!(text.len(), 75);
        assert_eq!(decode(&text), Some((claims(), [3; 16])));
    }

    #[test]
    fn b11_a_near_miss_is_not_a_token() {
        let text = encode(&claims(), &[3; 16]);
        let cut: String = text.chars().take(text.len() - 1).collect();
        let misses = [
            cut.clone(),
            format!("{text}A"),
            format!("{text}="),
            format!(" {text}"),
            format!("{text} "),
            format!("{text}\n"),
            text.to_uppercase(),
            text.replace("rlr_", "RLR_"),
            text.replace("rlr_", ""),
            text.replace('_', "%5F"),
            format!("{cut}x"),
            String::new(),
            PREFIX.to_owned(),
        ];
        for miss in misses {
            assert_ne!(decode(&miss), Some((claims(), [3; 16])), "{miss:?}");
        }
    }

    #[test]
    fn stray_trailing_bits_are_refused() {
        let text = encode(&claims(), &[0; 16]);
        let head = text.strip_suffix('A').unwrap_or_default();
        for last in ["B", "C", "D"] {
            assert_eq!(decode(&format!("{head}{last}")), None);
        }
    }

    #[test]
    fn a_generation_of_zero_or_beyond_the_last_is_no_token() {
        for generation in [0_u32, (1 << 31) + 1, u32::MAX] {
            let mut bytes = claims().to_bytes();
            for (byte, new) in bytes.iter_mut().skip(17).zip(generation.to_be_bytes()) {
                *byte = new;
            }
            assert_eq!(Claims::from_bytes(&bytes), None);
        }
    }

    #[test]
    fn the_nonce_is_not_shown_by_debug() {
        assert!(format!("{:?}", claims()).contains("[redacted]"));
    }
}
