//! Page cursors: the last row's key, tagged, so that only what this server wrote is ever used in a query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::session::SessionId;
use crate::domain::user::UserId;
use crate::keyring::{self, Keyring, TAG_LENGTH};

/// It is not a cursor that this server gave for this list.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct BadCursor;

/// What a list is ordered by.
pub(super) trait CursorKey: Sized {
    /// Tells lists apart, so that one's cursor is none of another's.
    const LIST: u8;
    /// The key's bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// The key again.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl CursorKey for UserId {
    const LIST: u8 = b'u';

    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(i64::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl CursorKey for SessionId {
    const LIST: u8 = b's';

    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(bytes.try_into().ok()?))
    }
}

/// Writes a cursor behind `key`.
pub(super) fn encode<K: CursorKey>(keyring: &Keyring, key: &K) -> String {
    let mut bytes = vec![K::LIST];
    bytes.extend(key.to_bytes());
    let tag = keyring.primary().cursor_tag(&bytes);
    bytes.extend(tag);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor of the same list.
pub(super) fn decode<K: CursorKey>(keyring: &Keyring, cursor: &str) -> Result<K, BadCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
    let (body, tag) = bytes.split_last_chunk::<TAG_LENGTH>().ok_or(BadCursor)?;
    if !keyring.all().any(|keys| keyring::equal(&keys.cursor_tag(body), tag)) {
        return Err(BadCursor);
    }
    match body.split_first() {
        Some((list, key)) if *list == K::LIST => K::from_bytes(key).ok_or(BadCursor),
        _ => Err(BadCursor),
    }
}

/// A page of a list, and the cursor of the next one if there is more.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From up to one row more than the page holds, which shows whether there is a next one.
    pub(super) fn cut<K: CursorKey>(keyring: &Keyring, mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|last| encode(keyring, &key(last)));
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::guessing::blocks::{BlockKey, Place};
    use crate::domain::timestamp::Timestamp;
    use crate::secret::Secret;

    #[test]
    fn l15_only_an_unchanged_cursor_of_the_same_list_is_read() {
        let other = Keyring::new(&Secret::new(vec![2; 32]), &[]).unwrap();
        let user = encode(&ring(), &UserId::new(7).unwrap());
        let block = encode(&ring(), &block());
        assert_eq!(decode::<UserId>(&ring(), &user).unwrap().get(), 7);
        assert_eq!(decode::<BlockKey>(&ring(), &block).unwrap(), self::block());
        assert!(decode::<SessionId>(&ring(), &user).is_err() && decode::<BlockKey>(&ring(), &user).is_err());
        assert!(decode::<SessionId>(&ring(), &block).is_err() && decode::<UserId>(&ring(), &block).is_err());
        assert!(decode::<UserId>(&other, &user).is_err() && decode::<BlockKey>(&other, &block).is_err());
        for changed in with_one_change(&user) {
            assert!(decode::<UserId>(&ring(), &changed).is_err(), "{changed}");
        }
        for changed in with_one_change(&block) {
            assert!(decode::<BlockKey>(&ring(), &changed).is_err(), "{changed}");
        }
        for garbage in ["", "A", "%00", "AAAA", "' OR 1=1 --"] {
            assert!(decode::<UserId>(&ring(), garbage).is_err() && decode::<BlockKey>(&ring(), garbage).is_err());
        }
    }

    fn ring() -> Keyring {
        Keyring::new(&Secret::new(vec![1; 32]), &[]).unwrap()
    }

    fn block() -> BlockKey {
        let place = Place::parse("198.51.100.0/24").unwrap();
        BlockKey { until: Timestamp::from_micros(7), subject: [7; 32], place }
    }

    /// A text with each of its letters changed in turn.
    fn with_one_change(text: &str) -> impl Iterator<Item = String> {
        text.char_indices().map(|(at, old)| {
            let new = if old == 'A' { "B" } else { "A" };
            format!("{}{new}{}", &text[..at], &text[at + 1..])
        })
    }
}
