//! E-mail addresses: the plain form of RFC 5321 and 6531, with the domain in ASCII.
//!
//! No display names, comments, quoted local parts or domain literals. An address has the form that was typed and a key
//! that is unique. `user@localhost` is an address: whoever hosts this may have no domain.

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::Profile as _;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::fold::key_folded;

/// An e-mail address as it was typed, with the key that makes it unique.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    shown: String,
    key: String,
}

/// Why a text is no e-mail address; the messages are for the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EmailError {
    /// More than [`Email::BYTES_MAX`] bytes.
    #[error("must not be longer than 254 bytes")]
    TooLong,
    /// Not `local@domain`, or a character that an address cannot have.
    #[error("must be an e-mail address such as name@example.com")]
    Syntax,
}

impl Email {
    /// How many bytes an address has at most (RFC 5321 4.5.3.1.3, less the angle brackets).
    pub const BYTES_MAX: usize = 254;

    /// Reads an address that a person gave.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let shown = shown_form(text)?;
        // The domain is in its one form already, of which the fold changes nothing.
        let key = key_folded(&shown);
        // Lower case can be longer, and a full-width `＂` becomes what an address cannot have.
        if shown_form(&key)? != key || key_folded(&key) != key {
            return Err(EmailError::Syntax);
        }
        Ok(Self { shown, key })
    }

    /// The key under which the address that a person types would be found; `None` if nobody can have it.
    pub fn key_of(text: &str) -> Option<String> {
        Self::parse(text).ok().map(|email| email.key)
    }

    /// From the two stored columns.
    pub fn from_stored(email: String, key: String) -> Self {
        Self { shown: email, key }
    }

    /// The address as it was typed, but for composition and the domain.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// The unique key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn shown_form(text: &str) -> Result<String, EmailError> {
    // The length first: it is what keeps a megabyte away from the tables.
    if text.len() > Email::BYTES_MAX {
        return Err(EmailError::TooLong);
    }
    let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Syntax)?;
    let local: String = local.nfc().collect();
    // The crate below takes all that is not ASCII. PRECIS refuses controls and what is invisible, unassigned or
    // private, but it allows the joiners in places, and white space.
    if OpaqueString::new().prepare(&local).is_err()
        || local.contains(|c: char| c.is_whitespace() || matches!(c, '\u{200c}' | '\u{200d}'))
    {
        return Err(EmailError::Syntax);
    }
    let domain = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| EmailError::Syntax)?;
    let address = format!("{local}@{domain}");
    if address.len() > Email::BYTES_MAX {
        return Err(EmailError::TooLong);
    }
    // It takes a quoted local part under any options.
    if address.starts_with('"') {
        return Err(EmailError::Syntax);
    }
    let plain = Options::default().without_display_text().without_domain_literal().with_no_minimum_sub_domains();
    EmailAddress::parse_with_options(&address, plain).map_err(|_| EmailError::Syntax)?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> String {
        Email::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}")).key().to_owned()
    }

    fn refused(text: &str) -> EmailError {
        Email::parse(text).map(|email| format!("{email:?}")).expect_err(text)
    }

    #[test]
    fn the_local_part_stays_as_typed_and_the_domain_becomes_ascii() {
        let email = Email::parse("Saif.K+x@Bücher.Example").unwrap();
        assert_eq!(email.as_str(), "Saif.K+x@xn--bcher-kva.example");
        assert_eq!(email.key(), "saif.k+x@xn--bcher-kva.example");
        assert_eq!(Email::from_stored(email.as_str().to_owned(), email.key().to_owned()), email);
        for text in
            ["root@localhost", "a@1.2.3.4", "o'neil/x=y@a-b.c--d.example", "用户@例え。テスト", "a@xn--bcher-kva.de"]
        {
            assert!(Email::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn l4_case_width_and_composition_variants_collide() {
        for text in ["zoë@example.com", "ZOE\u{308}@EXAMPLE.COM", "Zoë@Example。com", "ｚoë@ｅxample.com"] {
            assert_eq!(key(text), "zoë@example.com", "{text:?}");
        }
        assert_eq!(key("ΣΑΣ@x"), "σασ@x");
    }

    #[test]
    fn l5_what_is_no_plain_address_is_refused() {
        let locals = [
            "",
            "a b",
            " a",
            "a ",
            "a\tb",
            "a\n",
            "a\u{0}b",
            "a\u{7f}",
            "a\u{85}",
            "a\u{a0}b",
            "a\u{3000}",
            "a\u{200b}b",
            "a\u{200c}b",
            "\u{915}\u{94d}\u{200d}",
            "a\u{202e}b",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{378}",
            "a\u{e000}",
            "a\u{10ffff}",
            "a@b",
            "a\u{ff20}b",
            "a..b",
            ".a",
            "a.",
            "\"a\"",
            "\"a b\"",
            "a\"b",
            "\"",
            "(c)a",
            "a(c)",
            "a<b",
            "<a",
            "A B <a",
            "a,b",
            "a;b",
            "a:b",
            "a\\b",
            "[a]",
            "\u{ff02}a\u{ff02}",
        ];
        for local in locals {
            assert_eq!(refused(&format!("{local}@example.com")), EmailError::Syntax, "{local:?}");
        }
        let domains = [
            "",
            ".",
            "a..b",
            ".a",
            "a.",
            "-a.b",
            "a-.b",
            "a.-b",
            "a_b.c",
            "a b",
            " a",
            "a ",
            "a\u{0}",
            "a\u{3000}b",
            "[1.2.3.4]",
            "[::1]",
            "a,b",
            "a/b",
            "a:25",
            "(c)a",
            "a>",
            "xn--a",
            "xn--",
            "a\u{378}.b",
            "a\u{202e}b",
            "\u{301}a",
            "a\u{5d0}.b",
        ];
        for domain in domains {
            assert_eq!(refused(&format!("a@{domain}")), EmailError::Syntax, "{domain:?}");
        }
        for text in ["", "@", "a", "a.example.com", "A <a@example.com>", "<a@example.com>", "mailto:a@example.com"] {
            assert_eq!(refused(text), EmailError::Syntax, "{text:?}");
        }
    }

    #[test]
    fn l9_an_address_is_at_most_254_bytes_long_and_its_parts_64_and_63() {
        let label = "d".repeat(63);
        assert!(Email::parse(&format!("{}@{label}.de", "l".repeat(64))).is_ok());
        assert_eq!(refused(&format!("{}@{label}.de", "l".repeat(65))), EmailError::Syntax);
        assert_eq!(refused(&format!("l@d{label}.de")), EmailError::Syntax);
        let full = format!("{}@{label}.{label}.{}", "l".repeat(64), "d".repeat(61));
        assert_eq!(full.len(), Email::BYTES_MAX);
        assert!(Email::parse(&full).is_ok());
        assert_eq!(refused(&format!("{full}d")), EmailError::TooLong);
        assert_eq!(refused(&format!("{}@example.com", "l".repeat(1_900_000))), EmailError::TooLong);
        assert_eq!(refused(&"@".repeat(1_900_000)), EmailError::TooLong);
    }

    #[test]
    fn l7_each_character_that_folds_to_another_is_stable() {
        for c in ('\0'..=char::MAX).filter(|c| key_folded(&c.to_string()) != c.to_string()) {
            stable(&format!("{c}@x"));
            stable(&format!("a{c}\u{307}@{c}"));
        }
    }

    fn stable(text: &str) {
        let Ok(email) = Email::parse(text) else { return };
        assert_eq!(Email::parse(email.as_str()).as_ref(), Ok(&email), "{text:?}");
        for text in [text, email.as_str(), email.key()] {
            assert_eq!(Email::key_of(text).as_deref(), Some(email.key()), "{text:?}");
        }
        assert!(email.as_str().len() <= Email::BYTES_MAX && email.key().len() <= Email::BYTES_MAX);
        assert_eq!(email.key().matches('@').count(), 1);
    }

    proptest! {
        #[test]
        fn l7_whatever_is_accepted_is_found_again(
            any in any::<String>(),
            local in "[\\p{L}\\p{M}a-zA-Z0-9.+_ａ-ｚ-]{1,8}",
            domain in "[\\p{L}\\p{M}a-zA-Z0-9.。-]{1,6}",
            ascii in "[ -~]{1,6}",
            label in "(xn--)?[a-z0-9-]{1,8}",
        ) {
            for text in [
                any.clone(),
                format!("{any}@example.com"),
                format!("{local}@example.com"),
                format!("a@{domain}"),
                format!("{local}@{domain}"),
                format!("{ascii}@{label}"),
                format!("a@{ascii}"),
            ] {
                stable(&text);
            }
        }
    }
}
