//! The shape of the source: which folder may say what, so that a stranger can predict where a word occurs.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that begin a path, such as `diesel::`, and the folders and files that may say them.
const WORDS: [(&str, &[&str]); 17] = [
    ("diesel", &["src/store/"]),
    ("diesel_migrations", &["src/store/migrations.rs"]),
    ("r2d2", &["src/store/"]),
    ("actix_web", &["src/web/", "src/app.rs"]),
    ("actix_http", &["src/web/connections/"]),
    ("actix_server", &["src/web/connections/"]),
    ("actix_service", &["src/web/connections/"]),
    ("actix_session", &["src/web/admin/"]),
    ("anyhow", &["src/web/admin/session_store.rs"]),
    ("askama", &["src/web/admin/"]),
    ("jiff", &["src/web/admin/moment.rs"]),
    ("bcrypt", &["src/auth/passwords.rs"]),
    ("jsonwebtoken", &["src/auth/access_tokens/"]),
    ("flate2", &["src/auth/status_lists/encoding.rs"]),
    ("SystemTime", &["src/clock.rs"]),
    ("SystemRandom", &["src/auth/entropy.rs"]),
    ("dotenvy", &["src/config/dotenv.rs"]),
];

/// Which modules of the crate a folder may use. Arrows point downward only; leaves are used by anybody.
const ARROWS: [(&str, &[&str]); 5] = [
    ("src/domain/", &["domain"]),
    ("src/store/", &["store", "domain"]),
    ("src/auth/", &["auth", "store", "domain"]),
    ("src/web/", &["web", "auth", "domain"]),
    ("src/cli/", &["cli", "app", "auth", "domain"]),
];
const LEAVES: [&str; 4] = ["config", "clock", "keyring", "secret"];

/// Statements that differ between the databases stand in these files alone.
const DIALECTS: [&str; 8] = [
    "src/store/condition.rs",
    "src/store/dialect.rs",
    "src/store/connection.rs",
    "src/store/files.rs",
    "src/store/migrations.rs",
    "src/store/mod.rs",
    "src/store/statements/mod.rs",
    "src/store/user_lists/statement.rs",
];

pub struct Source {
    pub path: String,
    text: String,
    /// Without comments, strings' contents left in, and without the tests at the end.
    pub code: String,
}

pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    assert!(paths.len() > 50, "the sources were not found");
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let (code, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            Source { path: path.strip_prefix(root).unwrap().display().to_string(), text, code }
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Whether the code has `word` as a path's segment: `word::` or `::word`, with nothing longer around it.
fn says(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        whole && (after.starts_with("::") || before.ends_with("::"))
    })
}

#[test]
fn each_library_is_spoken_of_in_its_own_folder_alone() {
    for source in sources() {
        for (word, places) in WORDS {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            // The connection's own r2d2 adapter and the one pool live in the store; diesel re-exports are diesel's.
            assert!(allowed || !says(&source.code, word), "{} says {word}", source.path);
        }
    }
}

#[test]
fn modules_use_only_those_below_them() {
    for source in sources() {
        let Some((_, allowed)) = ARROWS.iter().find(|(folder, _)| source.path.starts_with(folder)) else { continue };
        for rest in source.code.split("crate::").skip(1) {
            let module: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let fine = module.is_empty() || allowed.contains(&module.as_str()) || LEAVES.contains(&module.as_str());
            assert!(fine, "{} uses crate::{module}", source.path);
        }
    }
}

/// The time that `==` takes tells how much of a secret is right.
#[test]
fn t5_secrets_tags_and_digests_are_compared_in_constant_time_alone() {
    // The seal of the audit trail is no secret, nobody can try out configurations, and fuzzing is no part of the service.
    const FREE: [&str; 2] = ["src/auth/audit/verify.rs", "src/config/"];
    const SECRETS: [&str; 4] = [".expose()", "_tag(", "nonce", "digest"];
    let mut comparers = 0;
    for source in sources() {
        let allowed = FREE.iter().any(|place| source.path.starts_with(place)) || source.path.ends_with("/fuzzing.rs");
        for line in source.code.lines().filter(|_| !allowed) {
            let compares = [" == ", " != ", ".eq(&", ".ne(&"].iter().any(|sign| line.contains(sign));
            // Columns are compared by the database, which finds a digest by an index and not byte by byte.
            let in_rust = compares && !source.path.starts_with("src/store/");
            assert!(!in_rust || !SECRETS.iter().any(|word| line.contains(word)), "{}: {line}", source.path);
        }
        comparers += source.code.matches("keyring::equal(").count();
        let is_keyring = source.path == "src/keyring.rs";
        assert!(is_keyring || !source.code.contains("constant_time"), "{} compares by itself", source.path);
        let derives = source.code.lines().any(|line| line.contains("derive(") && line.contains("PartialEq"));
        assert!(source.path != "src/secret.rs" || !derives, "secrets can be compared with ==");
    }
    assert!(comparers >= 6, "{comparers}: refresh tokens, nonces, clients' secrets, cursors and forms");
}

#[test]
fn leaves_use_no_other_module_than_secrets_and_times() {
    for source in sources() {
        let is_leaf = LEAVES
            .iter()
            .any(|leaf| source.path == format!("src/{leaf}.rs") || source.path.starts_with(&format!("src/{leaf}/")));
        for rest in source.code.split("crate::").skip(1).filter(|_| is_leaf) {
            let fine = ["secret::", "domain::timestamp::"].iter().any(|path| rest.starts_with(path));
            assert!(fine, "{} uses crate::{}", source.path, rest.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn what_differs_between_the_databases_stands_in_few_files() {
    for source in sources() {
        let allowed = DIALECTS.contains(&source.path.as_str()) || source.path.ends_with("/tests.rs");
        for word in ["AnyConnection::Postgres", "AnyConnection::Sqlite", "sql_query", "batch_execute"] {
            assert!(allowed || !source.code.contains(word), "{} says {word}", source.path);
        }
    }
}

#[test]
fn every_module_begins_with_what_it_is_for() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "{} has no module documentation", source.path);
        let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        assert!(lines <= 8, "{}: {lines} lines of module documentation", source.path);
    }
}

#[test]
fn no_file_is_long() {
    for source in sources() {
        let lines = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        // A file of tests alone may be longer than what it tests.
        let limit = if source.path.ends_with("/tests.rs") { 600 } else { 400 };
        assert!(lines <= limit, "{} has {lines} lines", source.path);
    }
    let main = include_str!("../../src/main.rs");
    assert!(main.lines().count() < 40);
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    let marks = ["TO", "FIX", "XX"].map(|start| {
        format!(
            "{start}{}",
            if start == "TO" {
                "DO"
            } else if start == "FIX" {
                "ME"
            } else {
                "X"
            }
        )
    });
    for source in sources() {
        for mark in &marks {
            assert!(!source.text.contains(mark.as_str()), "{} says {mark}", source.path);
        }
        assert!(!source.text.contains("#[ignore"), "{} ignores a test", source.path);
    }
}
