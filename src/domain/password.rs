//! Passwords in the clear, on their way to being hashed (NIST SP 800-63B-4 3.1.1.2).
//!
//! Any character is allowed and none is cut off: there are no composition rules, only a length and what is guessed
//! first. NFC, not NFKC: the same text from another keyboard is the same password, a look-alike is not.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::domain::common_passwords::is_common;
use crate::domain::email::Email;
use crate::domain::fold::case_folded;
use crate::domain::username::Username;

/// A password in NFC; wiped from memory when it goes.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a password is not taken; the messages are for the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordError {
    /// Fewer characters than asked for.
    #[error("must be at least {min} characters long")]
    TooShort {
        /// How many are asked for.
        min: usize,
    },
    /// More than [`Password::BYTES_MAX`] bytes.
    #[error("must not be longer than 1,024 bytes in UTF-8")]
    TooLong,
    /// Among the first that are guessed.
    #[error("is too common: it is among the first that are guessed")]
    Common,
    /// The username.
    #[error("must not be the username")]
    SameAsUsername,
    /// The e-mail address.
    #[error("must not be the e-mail address")]
    SameAsEmail,
}

impl Password {
    /// How many bytes a password has at most, as sent and in NFC.
    pub const BYTES_MAX: usize = 1_024;

    /// Takes what somebody signs in with: whether it is the right one is not decided here.
    pub fn from_login(text: &str) -> Result<Self, PasswordError> {
        if text.len() > Self::BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        // One allocation, since NFC makes no text more than three times as long: growing would leave copies behind.
        let mut password = Zeroizing::new(String::with_capacity(text.len() * 3));
        password.extend(text.nfc());
        if password.len() > Self::BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(password))
    }

    /// Takes a password that somebody wants from now on; the length counts in code points.
    pub fn choose(text: &str, min_length: usize, username: &Username, email: &Email) -> Result<Self, PasswordError> {
        let password = Self::long_enough(text, min_length)?;
        let folded = Zeroizing::new(case_folded(password.expose()));
        let is = |shown: &str, key: &str| *folded == key || *folded == case_folded(shown);
        // As it was typed, and in NFC, which may come to another name.
        let typed = [text, password.expose()];
        let is_name = typed.iter().any(|typed| is_key(Username::key_of(typed), username.key()));
        if is_name || is(username.as_str(), username.key()) {
            return Err(PasswordError::SameAsUsername);
        }
        if is(email.as_str(), email.key()) || typed.iter().any(|typed| is_key(Email::key_of(typed), email.key())) {
            return Err(PasswordError::SameAsEmail);
        }
        password.uncommon()
    }

    /// The same as far as it can be said without a name that is one.
    pub fn choose_unnamed(text: &str, min_length: usize) -> Result<Self, PasswordError> {
        Self::long_enough(text, min_length)?.uncommon()
    }

    fn long_enough(text: &str, min: usize) -> Result<Self, PasswordError> {
        let password = Self::from_login(text)?;
        if password.expose().chars().count() < min { Err(PasswordError::TooShort { min }) } else { Ok(password) }
    }

    fn uncommon(self) -> Result<Self, PasswordError> {
        if is_common(self.expose()) { Err(PasswordError::Common) } else { Ok(self) }
    }

    /// The text, to be hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Wipes a key that was made of a password.
fn is_key(made: Option<String>, key: &str) -> bool {
    made.map(Zeroizing::new).is_some_and(|made| *made == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str, min_length: usize) -> Result<String, PasswordError> {
        let username = Username::parse("Åsa.Lindström").unwrap();
        let email = Email::parse("Åsa@Bücher.example").unwrap();
        Password::choose(text, min_length, &username, &email).map(|password| password.expose().to_owned())
    }

    #[test]
    fn j1_length_counts_code_points_after_nfc() {
        assert_eq!(choose("korrekt hästar", 15), Err(PasswordError::TooShort { min: 15 }));
        assert!(choose("korrekt hästars", 15).is_ok());
        assert_eq!(choose(&"é".repeat(15), 15), Ok("é".repeat(15)));
        assert_eq!(choose(&"e\u{301}".repeat(15), 15), Ok("é".repeat(15)));
        assert_eq!(choose(&"e\u{301}".repeat(14), 15), Err(PasswordError::TooShort { min: 15 }));
        assert_eq!(choose(&"😀".repeat(14), 15), Err(PasswordError::TooShort { min: 15 }));
        assert!(choose(&"😀".repeat(15), 15).is_ok());
    }

    #[test]
    fn j2_long_passwords_are_taken_up_to_1024_bytes() {
        let long: String = "staple horse correct battery ".chars().cycle().take(1_024).collect();
        for length in [64, 100, 128, 1_024] {
            let text: String = long.chars().take(length).collect();
            assert_eq!(choose(&text, 8), Ok(text));
        }
        let too_long = format!("{long}x");
        assert_eq!(choose(&too_long, 8), Err(PasswordError::TooLong));
        assert_eq!(Password::from_login(&too_long).err(), Some(PasswordError::TooLong));
        // 340 times three bytes are six each in NFC; 700 times three are two, but are too long as they are sent.
        assert_eq!(Password::from_login(&"\u{fb2c}".repeat(340)).err(), Some(PasswordError::TooLong));
        assert_eq!(Password::from_login(&"e\u{301}".repeat(700)).err(), Some(PasswordError::TooLong));
        assert_eq!(Password::from_login(&"x".repeat(1_900_000)).err(), Some(PasswordError::TooLong));
    }

    #[test]
    fn j4_j5_any_character_counts_and_none_is_cut_off() {
        let texts = [
            "onlylowercaseletters",
            "73519468205731",
            "  leading and trailing  ",
            "😀😃😄😁😆😅🤣😂",
            "aaaaaaaaaaaaaaa\0b",
            "tab\tand\nline",
            "\u{200b}zero\u{202e}width",
            "P@ssword123",
            "correct horse battery staple",
            "password ",
            "\u{fffd}\u{10ffff}\u{e000}xxxxx",
        ];
        for text in texts {
            assert_eq!(choose(text, 8).as_deref(), Ok(text));
        }
        assert!(Password::from_login("").is_ok());
    }

    #[test]
    fn j6_common_passwords_and_ones_own_names_are_refused() {
        for text in [
            "password1",
            "qwertyuiopasdfgh",
            "123456789012345",
            "PasswordPassword",
            "aaaaaaaaaaaaaaa",
            "relatchrelatch",
        ] {
            assert_eq!(choose(text, 8), Err(PasswordError::Common), "{text:?}");
        }
        for text in
            ["Åsa.Lindström", "A\u{30a}SA.LINDSTRÖM", "ａsa.lindström".replace('ａ', "å").as_str(), "åsa.ｌindström"]
        {
            assert_eq!(choose(text, 8), Err(PasswordError::SameAsUsername), "{text:?}");
        }
        for text in ["Åsa@Bücher.example", "åsa@bücher.example", "ÅSA@XN--BCHER-KVA.EXAMPLE"] {
            assert_eq!(choose(text, 8), Err(PasswordError::SameAsEmail), "{text:?}");
        }
    }

    #[test]
    fn j7_composition_makes_no_difference_but_compatibility_does() {
        let login = |text| Password::from_login(text).unwrap().expose().to_owned();
        assert_eq!(login("caf\u{e9}"), login("cafe\u{301}"));
        assert_ne!(login("\u{fb01}sh"), login("fish"));
        assert_ne!(login("Ａ"), login("A"));
    }

    #[test]
    fn s1_neither_debug_nor_an_error_shows_the_password() {
        assert_eq!(format!("{:?}", Password::from_login("hunter2hunter2")), "Ok([redacted])");
        assert_eq!(PasswordError::TooShort { min: 8 }.to_string(), "must be at least 8 characters long");
    }
}
