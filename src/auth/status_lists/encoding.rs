//! The form in which a list travels: ZLIB (RFC 1950) in base64url, and nothing else says flate2.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// The `lst` of these bytes, compressed as much as it goes (draft-ietf-oauth-status-list §4.1).
pub(super) fn encode(bytes: &[u8]) -> io::Result<String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(encoder.finish()?))
}

/// A whole token for clients that accept it compressed: base64url within base64url is almost twice as long as what it
/// says.
pub(super) fn gzip(token: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(token.as_bytes())?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::auth::entropy;
    use crate::domain::status_list::{SIZE, StatusBits};

    fn decode(lst: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(URL_SAFE_NO_PAD.decode(lst).unwrap().as_slice())
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    #[test]
    fn i3_a_list_is_zlib_of_the_highest_level_in_base64url_without_padding() {
        let mut bits = StatusBits::default();
        for place in [0, 1_993, 25_460, 159_495, 495_669, 554_353, 645_645, 723_232, 854_545, 934_534, 1_000_345] {
            bits.revoke(place);
        }
        let lst = encode(bits.as_bytes()).unwrap();
        assert!(lst.starts_with("eNr"), "78 da: {lst}");
        assert!(!lst.contains(['=', '+', '/']));
        assert_eq!(decode(&lst), bits.as_bytes());
    }

    #[test]
    fn a_list_of_a_hundred_thousand_sessions_of_which_two_in_a_hundred_were_revoked_is_small() {
        let mut bits = StatusBits::default();
        let mut revoked = 0;
        while revoked < 2_000 {
            let place = u32::from_be_bytes(entropy::bytes().unwrap()) % SIZE;
            revoked += u32::from(bits.revoke(place));
        }
        let lst = encode(bits.as_bytes()).unwrap();
        // In the token it is encoded once more, which gzip takes off again.
        let twice = URL_SAFE_NO_PAD.encode(&lst);
        assert!(twice.len() <= 20_000, "{}", twice.len());
        assert!(gzip(&twice).unwrap().len() < lst.len(), "{} is no less than {}", twice.len(), lst.len());
        assert_eq!(decode(&lst), bits.as_bytes());
    }
}
