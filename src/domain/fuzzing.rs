//! Fuzz targets of what people type: names, addresses, passwords. Each says whether its input was accepted.

use std::sync::LazyLock;

use crate::domain::email::Email;
use crate::domain::fold::{case_folded, search_prefix};
use crate::domain::password::{Password, PasswordError};
use crate::domain::registered_client::{self, ApiAudience, ClientId, ClientName, SecretId};
use crate::domain::scope::Scopes;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::domain::username::Username;

/// Whoever chooses a password.
static SOMEBODY: LazyLock<(Username, Email)> = LazyLock::new(|| {
    let email = "somebody@example.com".to_owned();
    (Username::from_stored("somebody".to_owned(), "somebody".to_owned()), Email::from_stored(email.clone(), email))
});

/// A name that is accepted is a fixed point, and is found by whatever form of it somebody types.
pub fn username(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(name) = Username::parse(text) else {
        // A look-alike may be typed by whoever has the name in lower case, but its key is a name's.
        let found = Username::key_of(text);
        assert!(found.is_none_or(|key| Username::key_of(&key).as_ref() == Some(&key)), "the key of {text:?} is none");
        return false;
    };
    let (shown, key) = (name.as_str(), name.key());
    assert_eq!(Username::parse(shown).as_ref(), Ok(&name), "another name is shown for {text:?}");
    for typed in [text, shown, key] {
        assert_eq!(Username::key_of(typed).as_deref(), Some(key), "{typed:?} does not find {text:?}");
    }
    for form in [shown, key] {
        assert!(form.len() <= Username::BYTES_MAX && (1..=Username::LENGTH_MAX).contains(&form.chars().count()));
        assert!(!form.contains(|c: char| c == '@' || c.is_control() || c.is_whitespace()), "{form:?}");
    }
    assert!(key.starts_with(&search_prefix(shown)), "a search for {shown:?} does not find it");
    assert_eq!(case_folded(key), key, "the key of {text:?} can be folded further");
    true
}

/// What is typed into a password field or a field for an e-mail address: a password is neither cut nor changed twice, and an
/// address is a fixed point that is found by whatever form of it somebody types.
pub fn password(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let own_address = email(text);
    let Ok(password) = Password::from_login(text) else {
        assert!(text.len() * 3 > Password::BYTES_MAX, "{} bytes are too long for a password", text.len());
        return own_address.is_some();
    };
    assert!(password.expose().len() <= Password::BYTES_MAX);
    let again = Password::from_login(password.expose()).map(|again| again.expose() == password.expose());
    assert_eq!(again, Ok(true), "a password changes when it is typed as it was stored: {text:?}");
    // Whoever can choose it can sign in with it, and it is no name of theirs.
    let (name, address) = &*SOMEBODY;
    let chosen = Password::choose(text, 1, name, address);
    if let Ok(chosen) = &chosen {
        assert_eq!(chosen.expose(), password.expose());
    }
    if let Some(own) = &own_address {
        assert_eq!(Password::choose(text, 1, name, own).err(), Some(PasswordError::SameAsEmail), "{text:?}");
    } else if let Ok(own) = Username::parse(text) {
        assert_eq!(Password::choose(text, 1, &own, address).err(), Some(PasswordError::SameAsUsername), "{text:?}");
    }
    own_address.is_some() || chosen.is_ok()
}

fn email(text: &str) -> Option<Email> {
    let email = Email::parse(text).ok()?;
    let (shown, key) = (email.as_str(), email.key());
    assert_eq!(Email::parse(shown).as_ref(), Ok(&email), "another address is shown for {text:?}");
    assert_eq!(Email::key_of(key).as_deref(), Some(key), "{key:?} does not find {text:?}");
    for form in [shown, key] {
        assert!(form.len() <= Email::BYTES_MAX);
        assert!(!form.contains(|c: char| c.is_control() || c.is_whitespace()), "{form:?}");
        assert!(
            form.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.is_ascii()),
            "{form:?}"
        );
    }
    assert_eq!(search_prefix(shown), key, "a search for {shown:?} does not find it");
    // A sign-in tells a name from an address by the `@`.
    assert!(Username::parse(text).is_err(), "{text:?} is a name and an address");
    Some(email)
}

/// What stands in bodies, paths and forms as text: what is read is written as it was, or at least read again as the same.
pub(crate) fn texts(text: &str) {
    assert!(ClientId::parse(text).is_none_or(|id| id.to_string() == text), "two ways to write a client's id: {text:?}");
    assert!(SecretId::parse(text).is_none_or(|id| id.to_string() == text), "two ways to write a secret's id: {text:?}");
    assert!(
        SessionId::parse(text).is_none_or(|id| id.to_string() == text),
        "two ways to write a session's id: {text:?}"
    );
    assert!(UserId::parse(text).is_none_or(|id| id.to_string() == text), "two ways to write a user's id: {text:?}");
    assert!(!registered_client::is_secret(text) || text.len() == 47, "a secret of another length: {text:?}");
    if let Some(time) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&time.to_string()), Some(time), "{text:?}");
    }
    if let Some(scopes) = Scopes::parse(text) {
        assert_eq!(Scopes::parse(&scopes.to_string()), Some(scopes), "{text:?}");
    }
    if let Ok(name) = ClientName::parse(text) {
        assert_eq!(ClientName::parse(name.as_str()).as_ref(), Ok(&name), "{text:?}");
        assert!(!name.as_str().contains(char::is_control), "{text:?}");
    }
    if let Ok(audience) = ApiAudience::parse(text) {
        assert_eq!(audience.as_str(), text);
    }
}
