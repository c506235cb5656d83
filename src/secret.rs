//! A wrapper for what must not be shown: it prints as `[redacted]` and is wiped from memory when dropped.
//!
//! A leaf. It has no `Display` and no `Serialize`, and must not get any: who needs the value says `expose`.

use std::fmt;

use zeroize::Zeroize;

/// A value that does not appear in logs, messages or dumps of a struct (OWASP ASVS 5.0 §13.3.1, §16.2.5).
///
/// It has no `==`: secrets are compared in constant time, by whoever holds the means for it.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value. Copies that were made before stay where they are.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. What is done with it must not print or store it in the open.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn t6_debug_shows_nothing_of_a_secret_not_even_within_other_values() {
        let secret = Secret::new("hunter2-hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(format!("{:#?}", Some(vec![secret.clone()])), "Some(\n    [\n        [redacted],\n    ],\n)");
        assert_eq!(secret.expose(), "hunter2-hunter2");
    }

    #[test]
    fn t6_a_secret_is_wiped_when_dropped() {
        struct Wiped<'a>(&'a Cell<bool>);
        impl Zeroize for Wiped<'_> {
            fn zeroize(&mut self) {
                self.0.set(true);
            }
        }
        let wiped = Cell::new(false);
        drop(Secret::new(Wiped(&wiped)));
        assert!(wiped.get());
    }
}
