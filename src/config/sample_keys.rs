//! Keys that tutorials, documentation and starter projects print, and other marks of a key that nobody drew at random.

/// Why a shared key must not be used, if it must not.
pub(super) fn weakness(key: &[u8]) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let contains = |sample: &str| {
        let sample = sample.to_ascii_lowercase();
        lower.windows(sample.len()).any(|part| part == sample.as_bytes())
    };
    if SAMPLES.iter().any(|sample| contains(sample)) {
        Some("is a well-known sample key")
    } else if has_few_bytes(key) {
        Some("has fewer than 8 different bytes")
    } else if repeats_itself(key) {
        Some("repeats itself")
    } else {
        None
    }
}

/// Whether fewer than 8 different bytes occur: 32 random bytes have that few once in more than 2¹³⁰ draws.
pub(super) fn has_few_bytes(key: &[u8]) -> bool {
    key.iter().collect::<std::collections::BTreeSet<_>>().len() < 8
}

/// Whether a beginning of at most half the length makes up the whole, as in `secretsecretsecret`.
fn repeats_itself(key: &[u8]) -> bool {
    (1..=key.len() / 2).any(|period| key.iter().zip(key.iter().skip(period)).all(|(left, right)| left == right))
}

/// Each is printed in a standard, in documentation or in many public repositories. Shorter keys need no list.
const SAMPLES: &[&str] = &[
    // jwt.io
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "your-256-bit-secretyour-256-bit-secret",
    // RFC 7515 appendix A.1 and RFC 7520 §3.5
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    // Documentation of frameworks and services
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET AND KEEP IT SAFE OUTSIDE OF THE SOURCE CODE",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "reallyreallyreallyreallyverysafe",
    "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",
    "my-secret-token-to-change-in-production",
    "255d861b-5ea1-5996-9aa3-922530ec40b1",
    // Tutorials
    "======================BezKoder=Spring========================",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "413F4428472B4B6250655368566D5970337336763979244226452948404D6351",
    "5367566B59703373367639792F423F4528482B4D6251655468576D5A71347437",
    "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
    "THIS IS USED TO SIGN AND VERIFY JWT TOKENS, REPLACE IT WITH YOUR OWN SECRET",
    "this is my custom Secret key for authentication",
    "this is my custom Secret key for authnetication",
    "JWTAuthenticationHIGHsecuredPasswordVVVp1OH7Xzyr",
    "ByYM000OLlMQG6VVVp1OH7Xzyr7gHuw1qvUC5dcGt3SNM",
    "Yh2k7QSu4l8CZg5p6X3Pna9L0Miy4D3Bvt0JVr87UcOj69Kqw5R2Nmf4FWs03Hdx",
    // What fingers type when 32 characters are asked for
    "12345678901234567890123456789012",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz123456",
    "abcdefghijklmnopqrstuvwxyz012345",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_keys_are_refused_in_any_case_and_with_something_added() {
        assert!(SAMPLES.iter().all(|sample| sample.len() >= 32), "shorter ones are refused for their length");
        for sample in SAMPLES {
            for key in [(*sample).to_owned(), sample.to_uppercase(), format!("your-{sample}123")] {
                assert_eq!(weakness(key.as_bytes()), Some("is a well-known sample key"), "{key}");
            }
        }
    }

    #[test]
    fn keys_of_few_bytes_and_keys_that_repeat_are_refused() {
        assert_eq!(weakness(&[7; 64]), Some("has fewer than 8 different bytes"));
        assert_eq!(weakness(b"abcdefgabcdefgabcdefgabcdefgabcdefg"), Some("has fewer than 8 different bytes"));
        assert_eq!(weakness(b"change-me-now-change-me-now-change-me-now"), Some("repeats itself"));
    }

    #[test]
    fn a_random_key_is_accepted() {
        assert_eq!(weakness(b"q2V7hX0c9T4nZbR1mK8sLw5yUe3gJd6f"), None);
    }
}
