//! Usernames: the PRECIS profiles of RFC 8265, and what PRECIS lets through although it could deceive a reader.
//!
//! A name has the form that is shown (`UsernameCasePreserved`) and a key (`UsernameCaseMapped`) that is unique. Both
//! are fixed points of their profile, so that whoever was registered is found again.

use precis_profiles::precis_core::{self, profile::Profile};
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};
use unicode_normalization::char::is_combining_mark;
use unicode_security::{MixedScript as _, skeleton};

/// A username as it is shown, with the key that makes it unique.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username {
    shown: String,
    key: String,
}

/// Why a text is no username; the messages are for the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UsernameError {
    /// Empty, or more than [`Username::LENGTH_MAX`] characters.
    #[error("must be 1 to 64 characters long")]
    Length,
    /// More than [`Username::BYTES_MAX`] bytes.
    #[error("must not be longer than 255 bytes in UTF-8")]
    TooManyBytes,
    /// An `@`, which tells an e-mail address from a username.
    #[error("must not contain @")]
    AtSign,
    /// White space, something invisible, a symbol, or whatever else identifiers cannot have.
    #[error("must consist of letters, digits and punctuation, without spaces or invisible characters")]
    Character,
    /// Violates the Bidi rule of RFC 5893.
    #[error("must not mix writing directions")]
    Direction,
    /// Letters of scripts that are not written together.
    #[error("must not mix letters of different scripts")]
    MixedScripts,
    /// Looks like a name in ASCII.
    #[error("must not look like a different name in ASCII letters")]
    Confusable,
}

impl Username {
    /// How many characters a name has at most.
    pub const LENGTH_MAX: usize = 64;
    /// How many bytes a name has at most.
    pub const BYTES_MAX: usize = 255;

    /// Reads a name that a person chose.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let shown = shown_form(text)?;
        let key = key_form(&shown)?;
        // Upper case has look-alikes of its own: `ВОВА` is no Latin word but looks like one, `вова` does not.
        if looks_ascii(&shown) {
            return Err(UsernameError::Confusable);
        }
        Ok(Self { shown, key })
    }

    /// The key under which the name that a person types would be found; `None` if nobody can have it.
    pub fn key_of(text: &str) -> Option<String> {
        key_form(&shown_form(text).ok()?).ok()
    }

    /// From the two stored columns.
    pub fn from_stored(username: String, key: String) -> Self {
        Self { shown: username, key }
    }

    /// The name as it is shown.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// The unique key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn shown_form(text: &str) -> Result<String, UsernameError> {
    // The length first: it is what keeps a megabyte away from the tables.
    if text.len() > Username::BYTES_MAX {
        return Err(if text.is_ascii() { UsernameError::Length } else { UsernameError::TooManyBytes });
    }
    if text.is_empty() {
        return Err(UsernameError::Length);
    }
    // PRECIS allows the joiners after a virama and a mark at the start. Nobody sees the first; the second attaches
    // itself to whatever stands before the name.
    if text.contains(['\u{200c}', '\u{200d}']) || text.starts_with(is_combining_mark) {
        return Err(UsernameError::Character);
    }
    let shown = enforced(UsernameCasePreserved::new(), text)?;
    if shown.len() > Username::BYTES_MAX {
        return Err(UsernameError::TooManyBytes);
    }
    if shown.chars().count() > Username::LENGTH_MAX {
        return Err(UsernameError::Length);
    }
    // Only here, since a full-width `＠` has become an `@`.
    if shown.contains('@') {
        return Err(UsernameError::AtSign);
    }
    if shown.starts_with(is_combining_mark) {
        return Err(UsernameError::Character);
    }
    Ok(shown)
}

fn key_form(shown: &str) -> Result<String, UsernameError> {
    let key = enforced(UsernameCaseMapped::new(), shown)?;
    // Whoever types the key is the same person; lower case can be longer and can be newer than PRECIS's Unicode 6.3.
    if shown_form(&key)? != key {
        return Err(UsernameError::Character);
    }
    if !key.is_single_script() {
        return Err(UsernameError::MixedScripts);
    }
    if looks_ascii(&key) {
        return Err(UsernameError::Confusable);
    }
    Ok(key)
}

/// What the profile makes of a text, if it makes the same of the result: composition comes last and can undo that.
fn enforced(profile: impl Profile, text: &str) -> Result<String, UsernameError> {
    let once = profile.enforce(text).map_err(refusal)?;
    let twice = profile.enforce(once.as_ref()).map_err(refusal)?;
    if once == twice { Ok(once.into_owned()) } else { Err(UsernameError::Character) }
}

/// `Invalid` is what the directionality rule says, since no empty text gets this far.
fn refusal(error: precis_core::Error) -> UsernameError {
    match error {
        precis_core::Error::Invalid => UsernameError::Direction,
        _ => UsernameError::Character,
    }
}

/// Whether a name beyond ASCII has the skeleton of UTS 39 of one within. A single letter may: RFC 8265 3.5 has `σ`
/// among its examples of usernames, and UTS 39 takes that for an `o`.
fn looks_ascii(name: &str) -> bool {
    !name.is_ascii() && name.chars().nth(1).is_some() && skeleton(name).all(|c| c.is_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fold::key_folded;

    fn key(text: &str) -> String {
        Username::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}")).key().to_owned()
    }

    fn refused(text: &str) -> UsernameError {
        assert_eq!(Username::key_of(text), None, "{text:?}");
        Username::parse(text).map(|name| format!("{name:?}")).expect_err(text)
    }

    #[test]
    fn the_name_is_shown_as_typed_and_unique_in_lower_case() {
        let name = Username::parse("Saif.al-Din_7+x").unwrap();
        assert_eq!((name.as_str(), name.key()), ("Saif.al-Din_7+x", "saif.al-din_7+x"));
        assert_eq!(Username::from_stored("A".to_owned(), "a".to_owned()), Username::parse("A").unwrap());
    }

    #[test]
    fn l4_case_width_and_composition_variants_collide() {
        for text in ["alice", "Alice", "ALICE", "ＡＬＩＣＥ", "ａｌｉｃｅ"] {
            assert_eq!(key(text), "alice", "{text:?}");
        }
        for text in ["A\u{30a}ngstro\u{308}m", "Ångström", "ÅNGSTRÖM", "ångström"] {
            assert_eq!(Username::key_of(text).as_deref(), Some("ångström"), "{text:?}");
        }
        assert_eq!(key("ΣΟΦΟΣ"), "σοφοσ");
        assert_eq!(key("ﾃｽﾄ"), "テスト");
        assert_eq!(key("Straße"), "straße");
        assert_ne!(key("Straße"), key("Strasse"));
    }

    #[test]
    fn l5_what_identifiers_cannot_have_is_refused() {
        let texts = [
            "a\u{0}b",
            "\u{0}",
            "a\tb",
            "a\nb",
            "a\rb",
            "a\u{7f}",
            "a\u{85}b",
            "a b",
            " a",
            "a ",
            "a\u{a0}b",
            "a\u{3000}b",
            "a\u{2028}b",
            "a\u{ad}b",
            "a\u{34f}b",
            "a\u{115f}",
            "a\u{3164}",
            "a\u{200b}b",
            "a\u{200c}b",
            "a\u{200d}b",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{915}\u{94d}\u{200c}\u{937}",
            "a\u{200e}b",
            "a\u{202e}b",
            "a\u{2060}b",
            "a\u{2066}b",
            "\u{feff}a",
            "a\u{fe0f}",
            "a\u{378}",
            "a\u{e000}",
            "a\u{f0000}",
            "a\u{fffe}",
            "a\u{10ffff}",
            "\u{fb00}",
            "\u{17f}ara",
            "\u{1f600}",
            "\u{265a}",
            "\u{2163}",
            "a\u{2800}",
            "\u{301}a",
            "\u{93e}a",
            "\u{20dd}",
            "\u{149}",
            "\u{1f88}",
            "\u{1c5}",
            "\u{212b}",
            "\u{212a}",
            "\u{2126}",
            "l\u{2019}a",
            "a\u{fffd}",
        ];
        for text in texts {
            assert_eq!(refused(text), UsernameError::Character, "{text:?}");
        }
        for text in ["a@b", "@", "a\u{ff20}b"] {
            assert_eq!(refused(text), UsernameError::AtSign, "{text:?}");
        }
    }

    #[test]
    fn l5_the_vectors_of_other_precis_libraries_hold() {
        let vectors = [
            ("\u{3a3}", "\u{3c3}"),
            ("\u{3c3}", "\u{3c3}"),
            ("\u{3c2}", "\u{3c2}"),
            ("juliet", "juliet"),
            ("fussball", "fussball"),
            ("fu\u{df}ball", "fu\u{df}ball"),
            ("\u{3c0}", "\u{3c0}"),
            ("l\u{b7}l", "l\u{b7}l"),
            ("\u{375}\u{3b1}", "\u{375}\u{3b1}"),
            ("\u{5d0}\u{5f3}", "\u{5d0}\u{5f3}"),
            ("\u{30ab}\u{30fb}", "\u{30ab}\u{30fb}"),
            ("\u{6db}\u{6db}", ""),
            ("\u{b7}", ""),
            ("\u{375}a", ""),
            ("\u{660}\u{6f0}", ""),
            ("\u{30fb}", ""),
            ("\u{1100}", ""),
        ];
        for (text, expected) in vectors {
            assert_eq!(Username::key_of(text).unwrap_or_default(), expected, "{text:?}");
        }
    }

    #[test]
    fn l5_mixed_writing_directions_are_refused() {
        for text in ["\u{5d0}a", "a\u{5d0}", "1\u{5d0}", "\u{627}\u{661}b", "\u{5d0}-"] {
            assert_eq!(refused(text), UsernameError::Direction, "{text:?}");
        }
        assert_eq!(key("\u{5d3}\u{5d5}\u{5d3}1"), "\u{5d3}\u{5d5}\u{5d3}1");
        assert_eq!(key("\u{639}\u{644}\u{64a}"), "\u{639}\u{644}\u{64a}");
    }

    #[test]
    fn l6_a_name_cannot_pass_for_another_in_ascii() {
        for text in
            ["\u{430}dmin", "\u{430}lice", "alic\u{435}", "\u{391}lice", "pа\u{443}pal", "a\u{4e00}", "a\u{966}"]
        {
            assert_eq!(refused(text), UsernameError::MixedScripts, "{text:?}");
        }
        for text in ["\u{430}\u{441}\u{435}", "\u{455}\u{441}\u{43e}\u{440}\u{435}", "adm\u{131}n", "\u{251}lice"] {
            assert_eq!(refused(text), UsernameError::Confusable, "{text:?}");
        }
        for text in ["Владимир", "Ελένη", "山田太郎", "やまだ", "김철수", "José", "Zoë", "Łukasz", "Nguyễn", "नेहा"]
        {
            assert!(Username::parse(text).is_ok(), "{text:?}: {:?}", Username::parse(text));
        }
        assert_eq!(Username::parse("ВОВА"), Err(UsernameError::Confusable));
        assert_eq!(Username::key_of("ВОВА"), Some(key("Вова")));
    }

    #[test]
    fn l9_names_are_1_to_64_characters_long() {
        assert_eq!(refused(""), UsernameError::Length);
        assert_eq!(key(&"a".repeat(64)).len(), 64);
        assert_eq!(key(&"é".repeat(64)).len(), 128);
        assert_eq!(key(&"e\u{301}".repeat(64)).len(), 128);
        assert_eq!(refused(&"a".repeat(65)), UsernameError::Length);
        assert_eq!(refused(&"é".repeat(65)), UsernameError::Length);
        assert_eq!(refused(&"\u{20000}".repeat(64)), UsernameError::TooManyBytes);
        for length in [3_000, 100_000, 1_900_000] {
            assert_eq!(refused(&"a".repeat(length)), UsernameError::Length);
            assert_eq!(refused(&"a\u{301}".repeat(length / 3)), UsernameError::TooManyBytes);
        }
    }

    #[test]
    fn l10_odd_names_are_names() {
        for text in ["admin", "root", "me", "new", ".", "..", "%2e", "';--", "<script>", "{{7*7}}", "1e3"] {
            assert_eq!(key(text), text);
        }
    }

    #[test]
    fn l7_each_character_that_folds_to_another_is_stable() {
        for c in ('\0'..=char::MAX).filter(|c| key_folded(&c.to_string()) != c.to_string()) {
            for text in [c.to_string(), format!("a{c}"), format!("{c}\u{345}"), format!("{c}\u{307}")] {
                stable(&text);
            }
        }
    }

    fn stable(text: &str) {
        let Ok(name) = Username::parse(text) else { return };
        assert_eq!(Username::parse(name.as_str()).as_ref(), Ok(&name), "{text:?}");
        for text in [text, name.as_str(), name.key()] {
            assert_eq!(Username::key_of(text).as_deref(), Some(name.key()), "{text:?}");
        }
        assert!(!name.as_str().contains('@') && !name.key().contains('@'));
    }

    proptest! {
        #[test]
        fn l7_whatever_is_accepted_is_found_again(
            any in any::<String>(),
            letters in "\\p{L}{1,5}\\p{M}{0,2}[0-9]{0,2}",
            latin in "[\\p{Latin}\\p{Mn}ａ-ｚＡ-Ｚ.]{1,5}",
            greek in "[\\p{Greek}\u{300}-\u{345}]{1,6}",
            arabic in "[\\p{Arabic}\\p{Hebrew}0-9]{1,6}",
            kana in "[\\p{Katakana}\u{ff61}-\u{ff9f}\u{3099}\u{309a}\u{30fb}]{1,6}",
            indic in "[\u{900}-\u{d7f}\u{200c}\u{200d}]{1,6}",
            cyrillic in "[\\p{Cyrillic}\\p{Cherokee}\\p{Georgian}]{1,3}",
        ) {
            for text in [any, letters, latin, greek, arabic, kana, indic, cyrillic] {
                stable(&text);
            }
        }
    }
}
