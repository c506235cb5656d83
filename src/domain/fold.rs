//! Folding of text: what differs only in case, width or composition becomes one and the same.
//!
//! Lower-casing goes character by character, as PRECIS does: a final `Σ` becomes `σ` wherever it stands, so that the
//! fold of a beginning is the beginning of the fold.

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::Rules as _;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::email::Email;

/// No key is longer, in bytes: see `username` and `email`.
const PREFIX_MAX: usize = 254;

/// NFC, lower case, NFC again: folds case and composition.
pub fn case_folded(text: &str) -> String {
    // One allocation, since NFC makes no text more than three times as long: a folded password leaves no copies behind.
    let mut folded = String::with_capacity(text.len() * 3);
    folded.extend(text.nfc().flat_map(char::to_lowercase).nfc());
    folded
}

/// Full-width and half-width forms become the usual ones, then [`case_folded`]: what keys are made of.
pub fn key_folded(text: &str) -> String {
    UsernameCaseMapped::new().width_mapping_rule(text).map_or_else(|_| case_folded(text), |text| case_folded(&text))
}

/// What a person types into a search box, folded as the keys of usernames and e-mail addresses are; at most 254
/// characters.
pub fn search_prefix(text: &str) -> String {
    // A whole address is found by its domain in any script, since keys hold the ASCII form.
    if let Some(key) = Email::key_of(text) {
        return key;
    }
    // Bounds the work before it is done; a composed character is at most four others in the text.
    let start: String = text.chars().take(PREFIX_MAX * 4).collect();
    // Postgres refuses a NUL in a parameter. No key has a space either, so nothing is found, as it should be.
    key_folded(&start).chars().take(PREFIX_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::username::Username;

    #[test]
    fn l4_case_width_and_composition_fold_alike() {
        assert_eq!(case_folded("A\u{30a}NGSTRÖM"), "ångström");
        assert_eq!(case_folded("\u{212b}"), "å");
        assert_eq!(key_folded("ＡＬＩＣＥ"), "alice");
        assert_eq!(key_folded("ｶﾞ"), "ガ");
        assert_eq!(case_folded("ＡＬＩＣＥ"), "ａｌｉｃｅ");
        assert_eq!(case_folded("ΟΔΟΣ ς"), "οδοσ ς");
    }

    #[test]
    fn every_character_folds_to_what_folds_to_itself() {
        // No letter lies beyond the first two planes but unified ideographs.
        for c in '\0'..='\u{1ffff}' {
            for text in [c.to_string(), format!("{c}\u{345}")] {
                let folded = key_folded(&text);
                assert_eq!(key_folded(&folded), folded, "{text:?}");
            }
        }
    }

    #[test]
    fn l7_a_search_finds_what_begins_so_however_it_is_typed() {
        let key = Username::parse("ΟΔΟΣΑ").unwrap().key().to_owned();
        assert!(key.starts_with(&search_prefix("οδοΣ")));
        let key = Email::parse("Zoë@Bücher.example").unwrap().key().to_owned();
        for typed in ["ZOE\u{308}", "Ｚoë@", "zoë@bücher.example", "zoë@bücher", "zoë@xn--b"] {
            assert!(key.starts_with(&search_prefix(typed)), "{typed:?}");
        }
    }

    #[test]
    fn l8_l9_neither_a_nul_nor_a_long_text_gets_through() {
        assert_eq!(search_prefix("a\0b"), "a b");
        assert_eq!(search_prefix(&"Ä".repeat(1_900_000)), "ä".repeat(PREFIX_MAX));
    }

    proptest! {
        #[test]
        fn folding_is_stable(text in any::<String>()) {
            let folded = case_folded(&text);
            prop_assert_eq!(case_folded(&folded), folded);
            let folded = key_folded(&text);
            prop_assert_eq!(key_folded(&folded), folded);
            let prefix = search_prefix(&text);
            prop_assert!(prefix.chars().count() <= PREFIX_MAX);
        }
    }
}
