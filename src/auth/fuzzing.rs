//! Fuzz targets of the doors that tokens, cursors and imported hashes come in by. Each says whether its input was accepted.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::audit::list::Place;
use crate::auth::cursor::{self, CursorKey};
use crate::auth::guessing::blocks::BlockKey;
use crate::auth::passwords::{self, Verification};
use crate::auth::refresh_tokens;
use crate::auth::user_list::Cursor as UserCursor;
use crate::domain::password::Password;
use crate::domain::refresh_token::{self, SessionNonce};
use crate::domain::session::{Generation, SessionId};
use crate::domain::user::UserId;
use crate::keyring::Keyring;
use crate::secret::Secret;
use crate::store::clients::ClientKey;

pub use crate::auth::access_tokens::fuzzing::access_token;

/// A keyring that no server has. One secret makes, another is accepted besides.
pub(in crate::auth) static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let secret = |byte: u8| Secret::new(vec![byte; 32]);
    Keyring::new(&secret(1), &[secret(2)]).unwrap_or_else(|_| unreachable!("32 bytes are a secret"))
});

/// Every refresh token that was ever made with it: anything else that is accepted is a forgery.
static REFRESH_TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let old = Keyring::new(&Secret::new(vec![2; 32]), &[]).unwrap_or_else(|_| unreachable!("32 bytes are a secret"));
    [&*KEYRING, &old]
        .into_iter()
        .flat_map(|keyring| {
            let first = refresh_tokens::first(keyring, SessionId::from_bytes([5; 16]), &SessionNonce::new([6; 16]));
            let genuine = refresh_tokens::recognise(keyring, first.expose());
            let second = genuine.zip(Generation::new(2)).map(|(genuine, second)| genuine.repeated_successor(second));
            [Some(first), second]
        })
        .flatten()
        .map(|token| token.expose().clone())
        .collect()
});

/// Every cursor that was ever given out, one of each list.
static CURSORS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let given = [
        given::<UserId>(&[0, 0, 0, 0, 0, 0, 0, 7]),
        given::<SessionId>(&[7; 16]),
        given::<Place>(b"o\0\x06\x0a\x24\x18\x1e\x40\0\0\0\0\0\0\0\0\x07"),
        given::<ClientKey>(&[7; 20]),
        given::<UserCursor>(b"cuuu\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0tsomebody"),
        given::<BlockKey>(b"\0\x06\x0a\x24\x18\x1e\x40\0the digest of somebody, 32 bytes192.0.2.0/24"),
    ];
    given.into_iter().flatten().collect()
});

/// A refresh token, in one of three ways: `m` and changes to a genuine one, `b` and its bytes, or its text.
pub fn refresh_token(data: &[u8]) -> bool {
    let text = match data.split_first() {
        Some((b'm', changes)) => changed(&REFRESH_TOKENS, changes),
        Some((b'b', bytes)) => format!("{}{}", refresh_token::PREFIX, URL_SAFE_NO_PAD.encode(bytes)),
        _ => match std::str::from_utf8(data) {
            Ok(text) => text.to_owned(),
            Err(_) => return false,
        },
    };
    if let Some((claims, tag)) = refresh_token::decode(&text) {
        assert_eq!(refresh_token::encode(&claims, &tag), text, "two texts are one token");
    }
    let Some(genuine) = refresh_tokens::recognise(&KEYRING, &text) else { return false };
    assert!(REFRESH_TOKENS.contains(&text), "a forgery is accepted: {text:?}");
    let Some(next) = genuine.generation().get().checked_add(1).and_then(Generation::new) else { return true };
    for successor in [genuine.successor(&KEYRING, next), genuine.repeated_successor(next)] {
        let read = refresh_tokens::recognise(&KEYRING, successor.expose());
        let read = read.map(|read| (read.session_id(), read.generation(), read.nonce_digest()));
        assert_eq!(read, Some((genuine.session_id(), next, genuine.nonce_digest())), "a successor is another's");
    }
    true
}

/// A page cursor: its text, or `t` and the bytes that a tag is put to, so that what is behind the tag is come to.
pub fn cursor(data: &[u8]) -> bool {
    if let Some((b't', body)) = data.split_first() {
        let tagged = [body, &KEYRING.primary().cursor_tag(body)].concat();
        let text = URL_SAFE_NO_PAD.encode(tagged);
        let read = [
            tagged_cursor::<UserId>(&text, body),
            tagged_cursor::<SessionId>(&text, body),
            tagged_cursor::<Place>(&text, body),
            tagged_cursor::<ClientKey>(&text, body),
            tagged_cursor::<UserCursor>(&text, body),
            tagged_cursor::<BlockKey>(&text, body),
        ];
        let accepted = read.into_iter().filter(|read| *read).count();
        assert!(accepted <= 1, "a cursor of two lists: {body:?}");
        return accepted == 1;
    }
    let text = match data.split_first() {
        Some((b'm', changes)) => changed(&CURSORS, changes),
        _ => match std::str::from_utf8(data) {
            Ok(text) => text.to_owned(),
            Err(_) => return false,
        },
    };
    let read = [
        cursor::decode::<UserId>(&KEYRING, &text).is_ok(),
        cursor::decode::<SessionId>(&KEYRING, &text).is_ok(),
        cursor::decode::<Place>(&KEYRING, &text).is_ok(),
        cursor::decode::<ClientKey>(&KEYRING, &text).is_ok(),
        cursor::decode::<UserCursor>(&KEYRING, &text).is_ok(),
        cursor::decode::<BlockKey>(&KEYRING, &text).is_ok(),
    ];
    let accepted = read.contains(&true);
    assert!(!accepted || CURSORS.contains(&text), "a forgery is accepted: {text:?}");
    accepted
}

fn given<K: CursorKey>(key: &[u8]) -> Option<String> {
    K::from_bytes(key).map(|key| cursor::encode(&KEYRING, &key))
}

fn tagged_cursor<K: CursorKey>(text: &str, body: &[u8]) -> bool {
    let Ok(key) = cursor::decode::<K>(&KEYRING, text) else { return false };
    assert_eq!(body.first(), Some(&K::LIST), "a cursor of another list is read");
    let again = cursor::decode::<K>(&KEYRING, &cursor::encode(&KEYRING, &key)).map(|again| again.to_bytes());
    assert!(again.is_ok_and(|again| again == key.to_bytes()), "a cursor leads elsewhere once it is written: {body:?}");
    true
}

/// A hash from elsewhere, or the stored form of a password: what is taken over can be verified, at a bearable cost.
pub fn imported_hash(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let importable = passwords::is_importable(text);
    // What costs more than the least is not computed here: a million of them would take days.
    const CHEAP: u32 = 4;
    let hash = text.strip_prefix("v1:").unwrap_or(text);
    let cost = hash.get(4..6).and_then(|cost| cost.parse().ok()).unwrap_or(CHEAP);
    assert!(!importable || (4..=16).contains(&cost), "a hash that costs too much is taken over: {text:?}");
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let is_whole = text.len() == 60 && text.is_ascii() && text.bytes().skip(4).take(2).all(is_digit);
    assert!(!importable || is_whole, "{text:?} is taken over");
    if cost > CHEAP || !(importable || text.starts_with("v1:")) {
        return importable;
    }
    let Ok(password) = Password::from_login("U*U") else { return false };
    match passwords::compare(&password, Some(text), CHEAP) {
        Ok(Verification::Right) => assert!(!importable, "an imported hash is not replaced: {text:?}"),
        Ok(Verification::RightButWeaklyStored | Verification::Wrong) => {}
        Err(error) => assert!(!importable, "nobody could sign in with {text:?}: {error}"),
    }
    importable
}

/// One of `genuine` with changes: which, then three bytes each, two for the place and one for what is done there.
pub(in crate::auth) fn changed(genuine: &[String], changes: &[u8]) -> String {
    let (which, changes) = changes.split_first().unwrap_or((&0, &[]));
    let chosen = genuine.iter().cycle().nth(usize::from(*which));
    let mut text: Vec<char> = chosen.map(|text| text.chars().collect()).unwrap_or_default();
    for change in changes.chunks_exact(3) {
        let [high, low, byte] = change else { continue };
        let at = usize::from(u16::from_be_bytes([*high, *low])) % text.len().max(1);
        match byte {
            0 if at < text.len() => drop(text.remove(at)),
            1 => text.truncate(at),
            128.. => text.insert(at, char::from(byte & 0x7f)),
            byte => text.iter_mut().skip(at).take(1).for_each(|c| *c = char::from(*byte)),
        }
    }
    text.into_iter().collect()
}
