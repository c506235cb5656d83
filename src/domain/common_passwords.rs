//! Passwords that everybody tries first: a list, repetitions of it, and walks over the keyboard.
//!
//! The list is Django's (`django/contrib/auth/common-passwords.txt.gz`, BSD-3-Clause, made by Royce Williams); licence
//! and origin are at the head of `common_passwords.txt`. Repetitions and walks are refused because the list alone has
//! next to nothing that is longer than 12 characters.

use std::sync::LazyLock;

use zeroize::Zeroizing;

use crate::domain::fold::case_folded;

/// Sorted by bytes, folded, 4 characters or more. The lines of the head start with `#` and a space or are `#` alone.
static LISTED: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().skip_while(|line| is_head(line)).collect());

/// What this service is called is no secret either.
const SERVICE: &str = "relatch";

/// What a finger or a child runs along. Each wraps round and goes both ways.
const LINES: [&str; 20] = [
    "1234567890",
    "!@#$%^&*()",
    "abcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "abcdefghijklmnopqrstuvwxyz1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1234567890qwertyuiopasdfghjklzxcvbnm",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "poiuytrewqlkjhgfdsamnbvcxz",
];

/// Whether the whole of it, in any case and composition, is one of the first that are tried.
pub fn is_common(password: &str) -> bool {
    let password = Zeroizing::new(case_folded(password));
    is_listed(&password) || is_repetition(&password) || is_walk(&password)
}

fn is_head(line: &str) -> bool {
    line == "#" || line.starts_with("# ")
}

fn is_listed(text: &str) -> bool {
    text == SERVICE || LISTED.binary_search(&text).is_ok()
}

/// Whether it is something listed, or up to three ASCII characters, over and over; the last time may be cut short.
fn is_repetition(password: &str) -> bool {
    password.char_indices().enumerate().skip(1).any(|(length, (at, _))| {
        let (unit, rest) = password.split_at(at);
        // Requirement J1 wants fifteen times `é` accepted, so short units beyond ASCII are left alone.
        password.starts_with(rest) && ((length <= 3 && unit.is_ascii()) || is_listed(unit))
    })
}

/// Whether each of its characters is part of a run of three or more along one of the lines.
fn is_walk(password: &str) -> bool {
    let characters: Zeroizing<Vec<char>> = Zeroizing::new(password.chars().collect());
    let edge = [false, false];
    let runs = characters.windows(3).map(is_run);
    let runs: Vec<bool> = edge.into_iter().chain(runs).chain(edge).collect();
    // A character is in up to three windows, of which `runs` tells in the order of their ends.
    characters.len() >= 3 && runs.windows(3).all(|windows| windows.contains(&true))
}

fn is_run(window: &[char]) -> bool {
    let &[a, b, c] = window else { return false };
    LINES
        .iter()
        .any(|line| (follows(line, a, b) && follows(line, b, c)) || (follows(line, c, b) && follows(line, b, a)))
}

fn follows(line: &str, first: char, second: char) -> bool {
    let mut rest = line.chars().skip_while(|&c| c != first);
    rest.next().is_some() && rest.next().or_else(|| line.chars().next()) == Some(second)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_list_is_sorted_folded_and_keeps_its_licence() {
        assert!(LISTED.is_sorted_by(|a, b| a < b));
        assert!(
            LISTED.iter().all(|entry| case_folded(entry) == *entry && entry.chars().count() >= 4 && !is_head(entry))
        );
        assert!(LISTED.iter().filter(|entry| entry.chars().count() >= 8).count() > 8_000);
        assert!(include_str!("common_passwords.txt").contains("Copyright (c) Django Software Foundation"));
    }

    #[test]
    fn j6_for_every_minimum_length_3000_passwords_of_that_length_or_more_are_refused() {
        for min_length in 8..=64 {
            let refused: HashSet<String> = LISTED
                .iter()
                .map(|entry| {
                    let length = entry.chars().count().max(min_length);
                    entry.chars().cycle().take(length).collect::<String>()
                })
                .take(4_000)
                .collect();
            assert!(refused.len() >= 3_000, "{min_length}");
            for password in refused {
                assert!(password.chars().count() >= min_length && is_common(&password), "{password:?}");
            }
        }
    }

    #[test]
    fn j6_listed_repeated_and_walked_passwords_are_common() {
        let passwords = [
            "password",
            "PASSWORD",
            "Password1",
            "iloveyou",
            "trustno1",
            "пїѕпїѕпїѕпїѕ",
            "passwordpassword",
            "PasswordPASSWORD",
            "passwordpasswor",
            "qwertyqwertyqwe",
            "aaaaaaaaaaaaaaa",
            "abcabcabcabcabcab",
            "1212121212121212",
            "        ",
            "relatchrelatch",
            "Relatchrelatchrelatch",
            "qwertyuiopasdfgh",
            "qwertyuiopas",
            "poiuytrewqlk",
            "123456789012345",
            "012345678901234",
            "0987654321098765",
            "abcdefghijklmnop",
            "zyxwvutsrqponmlk",
            "xyzabcdefghijklm",
            "1qaz2wsx3edc4rfv",
            "abcdefghijklmnopqrstuvwxyz0",
            "1234567890qwertyuiop",
            "asdfghjklqwertyuiop",
            "123abc456def789ghi",
            "12345432123454321",
            "qwertzuiopasdfgh",
            "azertyuiopqsdfgh",
            "!@#$%^&*()!@#$%^",
            "QWERTYUIOPASDFGH",
            "mnbvcxzlkjhgfdsa",
        ];
        for password in passwords {
            assert!(is_common(password), "{password:?}");
        }
    }

    #[test]
    fn j5_what_merely_contains_something_common_is_not() {
        let passwords = [
            "P@ssword123",
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "password correct",
            "a password",
            "password ",
            "x1qaz2wsx",
            "abcdefghijklmnop!",
            "7351946820573",
            "xk2vxk2v",
            "éééééééééééééé",
            "😀😀😀😀😀😀😀😀",
            "tr0ub4dor&3",
            "the quick brown fox",
            "",
            "a",
            "ab",
        ];
        for password in passwords {
            assert!(!is_common(password), "{password:?}");
        }
    }

    #[test]
    fn j2_the_longest_password_is_judged_quickly() {
        let started = std::time::Instant::now();
        for password in
            ["a".repeat(1_024), format!("{}b", "a".repeat(1_023)), "qwe".repeat(341) + "!", "test".repeat(256)]
        {
            is_common(&password);
        }
        assert!(started.elapsed().as_secs() < 2);
    }
}
